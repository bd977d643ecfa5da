import { existsSync, readFileSync, statSync } from 'node:fs';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

/** A program that reads its key from a file, as many do, and does not start without one. */
const path = process.env.SERVICE_KEY_FILE ?? '';
if (!existsSync(path)) {
  console.error('SERVICE_KEY_FILE names no file.');
  process.exit(1);
}
const key = readFileSync(path, 'utf8');

serveStdio(() => {
  const server = new McpServer({ name: 'files', version: '1' });
  const said = (text: string) => ({ content: [{ type: 'text' as const, text }] });
  server.registerTool('mode', { inputSchema: z.strictObject({}) }, async () =>
    said(JSON.stringify({ mode: (statSync(path).mode & 0o777).toString(8), path, length: key.length })),
  );
  server.registerTool('leak', { inputSchema: z.strictObject({ token: z.string().optional() }) }, async ({ token }) => {
    for (const line of key.split('\n')) console.error(`read ${line}`);
    return said(JSON.stringify({ key, lines: key.split('\n'), base64: Buffer.from(key).toString('base64'), token }));
  });
  return server;
});
