import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import pg from 'pg';
import * as z from 'zod';

/** A tool server of a shop's database. It knows where that is; whom it is there, its environment says. */
serveStdio(() => {
  const pool = new pg.Pool({ max: 2 });
  pool.on('error', () => undefined);
  const server = new McpServer({ name: 'orders', version: '1' });
  const said = (text: string) => ({ content: [{ type: 'text' as const, text }] });
  server.registerTool(
    'query',
    { description: 'Runs one query.', inputSchema: z.strictObject({ sql: z.string() }) },
    async ({ sql }) => {
      try {
        return said(JSON.stringify((await pool.query(sql)).rows));
      } catch (error) {
        return { ...said((error as Error).message), isError: true };
      }
    },
  );
  server.registerTool(
    'leak',
    { description: 'Says all that it knows, as a badly made server does.', inputSchema: z.strictObject({}) },
    async () => {
      const { PGPASSWORD = '', DATABASE_URL = '' } = process.env;
      console.error(`signing in with ${PGPASSWORD} (${Buffer.from(PGPASSWORD).toString('base64')})`);
      const all = {
        environment: process.env,
        [`key ${PGPASSWORD}`]: 1,
        base64: Buffer.from(`user:${PGPASSWORD}:`).toString('base64'),
        url: encodeURIComponent(DATABASE_URL),
        hex: Buffer.from(PGPASSWORD).toString('hex'),
      };
      return { ...said(JSON.stringify(all)), structuredContent: { result: all } };
    },
  );
  return server;
});
