import { createClients } from '../../packages/cli/src/credentials/clients/index.ts';
import { serveClients } from '../../packages/cli/src/credentials/local-server.ts';

/** The process that serves clients, with every credential in hand. */
const parts = { token: 't'.repeat(40), accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c' };
await serveClients(
  createClients(),
  {
    ask: async ({ provider }) => ({ kind: 'given', lease: 'lse_1', provider, parts, expiresAt: Date.now() + 900_000 }),
    held: () => [],
    end: async () => undefined,
    task: async () => 'tsk_1',
  },
  { socket: process.argv[2] as string, note: () => undefined },
);
process.send?.('ready');
