import { createServer } from 'node:http';
import { answerTo } from './echo-messages.ts';

/** Bare node:http in front of nothing. Prints its address. */
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const answer = answerTo(JSON.parse(Buffer.concat(chunks).toString()));
    if (!answer) response.writeHead(202).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as { port: number }).port}/mcp`));
