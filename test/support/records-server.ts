import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';

/** The records of the AuthZEN certification scenario, as a tool server: read, write and delete one. */
serveStdio(() => {
  const server = new McpServer({ name: 'records', version: '1' });
  const about = { id: z.string(), status: z.string().optional(), role: z.string().optional() };
  const done = async () => ({ content: [{ type: 'text' as const, text: 'done' }] });
  server.registerTool('read', { description: 'Reads a record.', inputSchema: z.strictObject(about) }, done);
  server.registerTool('write', { description: 'Writes a record.', inputSchema: z.strictObject(about) }, done);
  const soft = z.boolean().optional();
  server.registerTool(
    'delete',
    { description: 'Deletes a record.', inputSchema: z.strictObject({ ...about, soft }) },
    done,
  );
  return server;
});
