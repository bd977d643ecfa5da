import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket, connect as toServer } from 'node:net';

/** Stands between Gatehouse and a provider, on the level of bytes: whoever waits for a moment hears of each message before it is passed on. */
export interface ProviderProxy {
  port: number;
  /** Told of each message. `asked`: toward the provider; `answered`: from it. Whether it is still to be passed on. */
  onMessage: ((direction: 'asked' | 'answered') => boolean) | undefined;
  /** Connections are refused and those there are end, as when the provider is away. */
  setAway(isAway: boolean): void;
  close(): Promise<void>;
}

export async function startProxy(host: string, port: number): Promise<ProviderProxy> {
  const sockets = new Set<Socket>();
  let isAway = false;
  const proxy: ProviderProxy = {
    port: 0,
    onMessage: undefined,
    setAway(away) {
      isAway = away;
      if (away) for (const socket of sockets) socket.destroy();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  function pass(from: Socket, to: Socket, direction: 'asked' | 'answered'): void {
    sockets.add(from);
    from.on('data', (chunk) => {
      if (proxy.onMessage?.(direction) !== false) to.write(chunk);
    });
    from.on('error', () => undefined);
    // What was passed on is done with: as over a network, the provider hears of the death after what was sent.
    from.on('close', () => {
      sockets.delete(from);
      to.end();
    });
  }
  const server: Server = createServer({ noDelay: true }, (client) => {
    if (isAway) return client.destroy();
    const provider = toServer({ host, port, noDelay: true });
    pass(client, provider, 'asked');
    pass(provider, client, 'answered');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.port = (server.address() as AddressInfo).port;
  return proxy;
}
