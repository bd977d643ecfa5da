import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from '../platform/index.ts';
import type { FeedSignal } from './backend.ts';
import { clientConfig } from './postgres-connection.ts';

export const CHANNEL = 'gatehouse_feed';
const RECONNECT_MS = 500;

export interface Signals {
  listen(listener: (what: FeedSignal) => void): void;
  close(): Promise<void>;
}

/** LISTEN on a connection of its own, made anew when it is lost. Signals may get lost with it: the feed polls behind them. */
export function createSignals(url: string, log: Log): Signals {
  let listener: (what: FeedSignal) => void = () => {};
  let client: pg.Client | undefined;
  const closing = new AbortController();

  async function connectOnce(): Promise<void> {
    client = new pg.Client(clientConfig(url));
    const ended = new Promise<void>((resolve) => client?.once('end', resolve));
    client.on('error', (error) => log.debug('the connection that listens for changes was lost', { error }));
    client.on('notification', ({ payload }) => listener(payload as FeedSignal));
    await client.connect();
    await client.query(`listen ${CHANNEL}`);
    // What was signalled in between is lost; the rows are not.
    listener('changes');
    await ended;
  }

  async function keepListening(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await connectOnce();
      } catch (error) {
        log.debug('cannot listen for changes; polling meanwhile', { error });
        await client?.end().catch((cause) => log.debug('a connection could not be closed', { error: cause }));
      }
      await sleep(RECONNECT_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }
  const running = keepListening();

  return {
    listen(to) {
      listener = to;
    },
    async close() {
      closing.abort();
      await client?.end().catch((error) => log.debug('a connection could not be closed', { error }));
      await running;
    },
  };
}
