import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  url: string;
  method: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export type Behaviour = (request: Received, answer: ServerResponse) => void;

/** An HTTP receiver on loopback that keeps what it took. How it behaves may change while it runs. */
export async function openReceiver(behave: Behaviour = (_, answer) => answer.writeHead(200).end('{}')) {
  const taken: Received[] = [];
  const receiver = {
    behave,
    taken,
    url: '',
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer(async (request, answer) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const received = {
      url: request.url ?? '',
      method: request.method ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    answer.once('finish', () => {
      if (answer.statusCode < 300) taken.push(received);
    });
    receiver.behave(received, answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return receiver;
}

export type Receiver = Awaited<ReturnType<typeof openReceiver>>;

/** Ids of the records in what was taken, as JSON lines. */
export const idsOf = (taken: readonly Received[]): string[] =>
  taken.flatMap(({ body }) =>
    body
      .toString()
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const { log, sequence } = JSON.parse(line) as { log: string; sequence: number };
        return `${log}/${sequence}`;
      }),
  );
