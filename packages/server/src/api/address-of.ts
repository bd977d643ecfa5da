import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { clientAddress } from '../platform/index.ts';

/** Where the request comes from. */
export function addressOf({ env }: Context): string | null {
  const request = (env as Partial<HttpBindings> | undefined)?.incoming;
  return (request && clientAddress(request)) ?? null;
}
