import pg from 'pg';
import type { Log } from '../platform/index.ts';
import type { FeedSignal } from './backend.ts';
import { clientConfig, drop, giveUpWhenSilent } from './postgres-connection.ts';
import { createRetry } from './retry.ts';

export const CHANNEL = 'gatehouse_feed';
const RECONNECT_MS = 500;
const LONGEST_RECONNECT_MS = 10_000;
/** Nothing may come for hours; so the server is asked for a sign of life, and given up without one. */
const ASK_EVERY_MS = 5_000;
const SILENCE_MS = 12_000;

export interface Signals {
  listen(listener: (what: FeedSignal) => void): void;
  close(): Promise<void>;
}

/** LISTEN on a connection of its own, made anew when it is lost. Signals may get lost with it: the feed polls behind them. */
export function createSignals(url: string, log: Log): Signals {
  let listener: (what: FeedSignal) => void = () => {};
  let client: pg.Client | undefined;
  const closing = new AbortController();
  const retry = createRetry(RECONNECT_MS, LONGEST_RECONNECT_MS);

  async function listenOnce(): Promise<void> {
    const own = new pg.Client(clientConfig(url));
    client = own;
    const ended = new Promise<void>((resolve) => own.once('end', resolve));
    own.on('error', (error) => log.debug('the connection that listens for changes was lost', { error }));
    own.on('notification', ({ payload }) => listener(payload as FeedSignal));
    await own.connect();
    giveUpWhenSilent(own, SILENCE_MS);
    await own.query(`listen ${CHANNEL}`);
    retry.over();
    // What was signalled in between is lost; the rows are not.
    listener('changes');
    let isAsked = false;
    const asking = setInterval(async () => {
      if (isAsked) return;
      isAsked = true;
      await own.query('select 1').catch(() => drop(own));
      isAsked = false;
    }, ASK_EVERY_MS);
    await ended;
    clearInterval(asking);
  }

  async function keepListening(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await listenOnce();
      } catch (error) {
        log.debug('cannot listen for changes; polling meanwhile', { error });
        if (client) drop(client);
      }
      await retry.wait(closing.signal);
    }
  }
  const running = keepListening();

  return {
    listen(to) {
      listener = to;
    },
    async close() {
      closing.abort();
      if (client) drop(client);
      await running;
    },
  };
}
