import { createServer } from 'node:http';
import { Pool } from 'undici';

/** The floor: reads and parses the JSON-RPC body, swaps the Authorization header, forwards by undici's dispatch. No policy, no record. */
const upstream = new URL(process.argv[2] ?? '');
const pool = new Pool(upstream.origin, { connections: 64, pipelining: 1 });
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const body = JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()));
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: 'Bearer upstream',
    };
    const answer: Buffer[] = [];
    let status = 502;
    pool.dispatch(
      { path: upstream.pathname, method: 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart(_controller: unknown, statusCode: number) {
          status = statusCode;
        },
        onResponseData(_controller: unknown, chunk: Buffer) {
          answer.push(chunk);
        },
        onResponseEnd() {
          response.writeHead(status, { 'content-type': 'application/json' }).end(Buffer.concat(answer));
        },
        onResponseError(_controller: unknown, error: Error) {
          response.writeHead(502).end(error.message);
        },
      },
    );
  });
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as { port: number }).port}/mcp`));
