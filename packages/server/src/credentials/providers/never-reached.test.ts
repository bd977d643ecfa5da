import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { type CredentialProviderManifest, manifest } from '@gatehouse/protocol';
import { Secret } from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';
import { openProvider } from './index.ts';

const order = {
  ...{ lease: 'lse_1', name: 'gh_1', expiresAt: Date.now() + 60_000, environment: 'prod', agent: 'agent-a' },
  ...{ task: 'tsk_1', scope: { grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }] } },
};
const kinds = {
  postgres: { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] },
  mariadb: { grants: [{ tables: ['orders'], privileges: ['SELECT'] }] },
  redis: { keys: [{ pattern: 'orders:*', access: ['read'] }], commands: ['@read'] },
};

async function failureAt(type: keyof typeof kinds, host: string): Promise<unknown> {
  const from = {
    type,
    url: `${type}://broker@${host}${type === 'redis' ? '' : '/shop'}`,
    secret: 'broker',
    tls: 'off',
    ...kinds[type],
  };
  const declared = manifest.parse({ kind: 'CredentialProvider', name: 'p', environments: ['prod'], from });
  const provider = openProvider(
    declared as CredentialProviderManifest,
    {
      openSecret: async () => new Secret('broker-password'),
      pendingSecret: async () => null,
    } as never,
  );
  try {
    await provider.create(order, AbortSignal.timeout(10_000));
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await provider.close();
  }
}

/** @proves lease.never-reached */
test('where nobody listens or a name is not known nothing was made; where a connection is cut nobody knows', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    for (const type of Object.keys(kinds) as (keyof typeof kinds)[]) {
      for (const host of ['127.0.0.1:1', 'no-such-host.invalid:5432']) {
        const error = await failureAt(type, host);
        assert.ok(error instanceof NotMade, `${type} at ${host}: ${error}`);
        assert.match(error.message, /can't be reached, and nothing was sent/);
      }
      // MariaDB's server speaks first: there the client waits until it gives up.
      if (type === 'mariadb') continue;
      const cut = await failureAt(type, `127.0.0.1:${port}`);
      assert.ok(cut instanceof Error && !(cut instanceof NotMade), `${type}: ${cut}`);
    }
  } finally {
    server.close();
  }
});
