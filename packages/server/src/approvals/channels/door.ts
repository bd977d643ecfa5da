import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ChannelManifest } from '@gatehouse/protocol';
import { z } from 'zod';
import { GatehouseError, type Log, limits, readBody, retryAfter, toProblem } from '../../platform/index.ts';
import { channelLimits } from './limits.ts';
import type { Answer, Channel, Outcome } from './types.ts';

export interface DoorDependencies {
  channels(): ReadonlyMap<string, ChannelManifest>;
  open(manifest: ChannelManifest): Channel;
  answer(manifest: ChannelManifest, answer: Answer): Promise<Outcome>;
  /** Asks what was said to the message of this reference. */
  look(manifest: ChannelManifest, only: { reference: string }): Promise<unknown>;
  log: Log;
}

/** `POST /channels/NAME`: what people say in a channel. Only what the channel itself has signed is looked at; no token counts here. */
export function createChannelDoor({ channels, open, answer, look, log }: DoorDependencies) {
  async function take(request: IncomingMessage, name: string): Promise<{ status: number; body?: unknown }> {
    const manifest = channels().get(name);
    const channel = manifest && open(manifest);
    if (!manifest || !channel?.hear)
      throw new GatehouseError(
        'not-found',
        'channel.unknown',
        `There is no channel "${name}" that answers are taken from.`,
      );
    if (request.headers.authorization !== undefined && !channel.takesAuthorization)
      throw new GatehouseError(
        'unauthenticated',
        'channel.token',
        'No token is worth anything here; the channel signs what it sends.',
      );
    const { requestBodyTimeoutMs } = limits;
    const body = await readBody(request, { requestBodyBytes: channelLimits.messageBytes, requestBodyTimeoutMs });
    const heard = await channel.hear({ headers: request.headers, body: body.toString('utf8') });
    if ('status' in heard) return heard;
    if ('look' in heard) {
      await look(manifest, { reference: heard.look });
      return { status: 204 };
    }
    const outcome = await answer(manifest, heard);
    if (channel.reply) return channel.reply(outcome, heard);
    if ('refused' in outcome) {
      const { status, code, detail } = outcome.refused;
      return { status, body: { type: `urn:gatehouse:error:${code}`, title: code, status, detail } };
    }
    return { status: 200, body: { approval: outcome.approval.id, state: outcome.approval.state } };
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const name = /^\/channels\/([a-z0-9][a-z0-9-]{0,100})$/.exec(request.url?.split('?')[0] ?? '')?.[1];
    if (name === undefined || request.method !== 'POST') return false;
    try {
      const { status, body } = await take(request, name);
      send(response, status, body);
    } catch (error) {
      const known = error instanceof z.ZodError ? unreadable(error) : error;
      const { status: usual, body } = toProblem(known);
      const status = body.title === 'body.slow' ? 408 : usual;
      if (status >= 500) log.error('what came through a channel could not be taken', { channel: name, error });
      else log.warn('what came through a channel was refused', { channel: name, code: body.title });
      send(response, status, { ...body, status });
    }
    return true;
  };
}

function unreadable(error: z.ZodError): GatehouseError {
  const words = error.issues.slice(0, 10).map(({ path, message }) => `${path.join('.')}: ${message}`);
  return new GatehouseError('bad-request', 'channel.message', `The message does not fit: ${words.join('; ')}`);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const text = body === undefined ? '' : JSON.stringify(body);
  response
    .writeHead(status, {
      'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json',
      'Content-Length': Buffer.byteLength(text),
      ...retryAfter(status),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(response.req.complete ? {} : { Connection: 'close' }),
    })
    .end(text);
}
