/**
 * node src/main.ts [--database FILE] [--http PORT]
 *
 * Speaks MCP over stdio, or, with --http, over streamable HTTP at http://127.0.0.1:PORT/mcp, whose address is printed as
 * the only line on stdout once it answers. FILE (default: shop.sqlite in the working directory) is created and filled on
 * the first start.
 */
import { parseArgs } from 'node:util';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { serveHttp } from './http.ts';
import { openDatabase } from './schema.ts';
import { createShopServer } from './server.ts';
import { createShop } from './store.ts';

const { values } = parseArgs({
  options: { database: { type: 'string', default: 'shop.sqlite' }, http: { type: 'string' } },
});
const database = openDatabase(values.database);
const shop = createShop(database);
const createMcpServer = () => createShopServer(shop);

let close: () => Promise<void>;
if (values.http === undefined) {
  ({ close } = serveStdio(createMcpServer));
} else {
  const port = Number(values.http);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`--http ${values.http} is not a port`);
  const http = await serveHttp(createMcpServer, port);
  close = http.close;
  console.log(http.url);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await close();
    database.close();
  });
}
