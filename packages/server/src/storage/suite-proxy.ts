import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface Proxy {
  /** The database's URL, by way of the proxy. */
  url: string;
  /** Connections cut so far. */
  readonly cuts: number;
  /** Cuts the next connection that commits: before the server gets to know, or when it has, instead of passing on its answer. */
  cutAtCommit(when: 'before it arrives' | 'after it has arrived'): void;
  /** Nothing passes in either direction, and no connection ends. */
  holdBack(isHeld: boolean): void;
  /** Ends every connection, and each new one as the server first says something. */
  cutAll(isCut: boolean): void;
}

/** A network between Gatehouse and PostgreSQL that fails on demand. */
export async function startProxy(t: TestContext, url: string): Promise<Proxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let trap: { isForwarded: boolean } | undefined;
  let cuts = 0;
  let isHeld = false;
  let isCutAll = false;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const both = [client, upstream];
    const cut = () => {
      for (const socket of both) socket.destroy();
    };
    let isAnswerAwaited = false;
    for (const socket of both) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', cut);
      if (isHeld) socket.pause();
    }
    client.on('data', (data) => {
      if (trap && data.includes('commit\0')) {
        const { isForwarded } = trap;
        trap = undefined;
        cuts++;
        if (!isForwarded) return cut();
        isAnswerAwaited = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (isCutAll) cut();
      else if (!isAnswerAwaited) client.write(data);
      // Not at the first byte: a server that finds its client gone in the middle gives up what it was doing.
      else if (data.includes('COMMIT')) cut();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  const through = new URL(url);
  through.port = String((server.address() as { port: number }).port);
  return {
    url: through.href,
    get cuts() {
      return cuts;
    },
    cutAtCommit(when) {
      trap = { isForwarded: when === 'after it has arrived' };
    },
    holdBack(held) {
      isHeld = held;
      for (const socket of sockets) held ? socket.pause() : socket.resume();
    },
    cutAll(isCut) {
      isCutAll = isCut;
      if (isCut) for (const socket of sockets) socket.resetAndDestroy();
    },
  };
}
