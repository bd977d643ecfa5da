import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';

/** Where the connection comes from; behind a proxy it is the proxy's for everybody. */
export const addressOf = ({ env }: Context): string | null =>
  (env as Partial<HttpBindings> | undefined)?.incoming?.socket.remoteAddress ?? null;
