import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { narrowScope, type SshSource } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { Made, Provider } from '../packages/server/src/credentials/leases/types.ts';
import { openSshProvider } from '../packages/server/src/credentials/providers/ssh.ts';
import { Secret } from '../packages/server/src/platform/index.ts';
import {
  type CredentialScene,
  leftOf,
  orderOf,
  patiently,
  startCredentialScene,
  until,
} from './support/credential-scene.ts';
import { ssh } from './support/ssh-client.ts';
import { startSshd, type TestSshd } from './support/sshd.ts';

const sshd = await startSshd();
const source: SshSource = {
  ...{ type: 'ssh', principals: ['reader', 'deployer', 'root'], extensions: ['permit-pty', 'permit-port-forwarding'] },
};

describe('SSH certificates', { skip: sshd ? false : 'there is no sshd on this machine' }, () => {
  const { port, user, knownHosts, trust, log } = sshd as TestSshd;
  const newKey = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  let now = Date.now();
  const clock = { now: () => now };
  const open = (pem = newKey()) => openSshProvider('hosts', clock as never, async () => new Secret(pem));
  let provider: Provider;
  let scene: CredentialScene;

  before(async () => {
    provider = open();
    scene = await startCredentialScene({
      from: source,
      env: { SSH_KEY: '{privateKey}', SSH_CERTIFICATE: '{certificate}' },
      plainEnv: { SSH_PORT: String(port), SSH_USER: user, SSH_HOSTS: knownHosts },
      scope: { principals: ['reader'], sourceAddresses: ['127.0.0.0/8'], extensions: [] },
    });
  });
  after(async () => {
    await scene?.workspace.close();
    await sshd?.close();
  });

  const run = ({ credential: { privateKey, certificate } }: Made, command: string, options: string[] = []) =>
    ssh(
      {
        ...{ privateKey: privateKey?.reveal() ?? '', certificate: certificate?.reveal() ?? '' },
        ...{ port: String(port), user, knownHosts, options },
      },
      command,
    );
  const shown = ({ credential }: Made) =>
    spawnSync('ssh-keygen', ['-L', '-f', '-'], { input: `${credential.certificate?.reveal()}\n` }).stdout.toString();

  test('a certificate lets in whom it names, and sshd’s log says for which lease, agent and task', async () => {
    trust((await provider.trust?.()) ?? '');
    const asked = orderOf(source, { principals: ['reader'], extensions: [] });
    const made = await provider.create(asked, patiently());
    const { out, err } = await run(made, 'echo "hello $((6 * 7))"');
    assert.equal(out, 'hello 42\n', err);
    assert.match(log(), new RegExp(`ID ${asked.name} agent-1 tsk_1`));
    const says = shown(made);
    assert.match(says, /ssh-ed25519-cert-v01@openssh\.com user certificate/);
    assert.match(says, /Principals:\s+reader\s+Critical Options: \(none\)\s+Extensions: \(none\)/);
    assert.ok(made.expiresAt !== undefined && made.expiresAt <= asked.expiresAt);
  });

  test('not for another user, not from elsewhere, not for another command, not of another authority, not after its end', async () => {
    const make = async (asked: object) => provider.create(orderOf(source, asked), patiently());
    const refused = async (made: Made) => {
      const { out, err } = await run(made, 'echo in');
      assert.equal(out, '');
      assert.match(err, /Permission denied/);
    };
    // `root` may be asked for here; the host says for itself whom principals are.
    await refused(await make({ principals: ['root'] }));
    await refused(await make({ principals: ['reader'], sourceAddresses: ['192.0.2.0/24'] }));
    await refused(await open().create(orderOf(source, { principals: ['reader'] }), patiently()));
    const forced = await make({ principals: ['reader'], forceCommand: 'echo forced', sourceAddresses: ['127.0.0.1'] });
    assert.equal((await run(forced, 'echo in')).out, 'forced\n');
    now -= 600_000;
    const over = await make({ principals: ['reader'] });
    const past = { ...orderOf(source, { principals: ['reader'] }), expiresAt: now + 60_000 };
    await refused(await provider.create(past, patiently()));
    now += 600_000;
    assert.match((await run(over, 'echo in')).out, /in/);
  });

  test('what was not asked for sessions can’t do', async () => {
    const plain = await provider.create(orderOf(source, { principals: ['reader'], extensions: [] }), patiently());
    const full = await provider.create(orderOf(source), patiently());
    assert.match(shown(full), /permit-port-forwarding\s+permit-pty/);
    assert.match((await run(plain, 'echo in', ['-tt'])).err, /PTY allocation request failed/);
    assert.doesNotMatch((await run(full, 'echo in', ['-tt'])).err, /PTY allocation request failed/);
  });

  test('it can’t be taken back, and that is said: it remains until it expires; what was not given out does not', async () => {
    const asked = orderOf(source, { principals: ['reader'] });
    const made = await provider.create(asked, patiently());
    assert.deepEqual(await provider.revoke(leftOf(asked), patiently()), undefined);
    const remains = await provider.revoke(leftOf(asked, made), patiently());
    assert.equal(remains?.until, asked.expiresAt);
    assert.match(remains?.why ?? '', /until it expires/);
    const over = { ...leftOf(asked, made), expiresAt: now - 1 };
    assert.equal(await provider.revoke(over, patiently()), undefined);
    assert.deepEqual(provider.abilities, {
      ...{ canNarrow: true, canRevoke: false, canEndSessions: false, maxResidualSeconds: null, sessionsOutlive: true },
    });
  });

  /** @proves lease.ssh */
  test('a task’s tools sign in with a certificate of their own, of the authority that the hosts were told of', async () => {
    const { items } = await scene.workspace.operator('GET /providers');
    const { trust: line = '', ok } = items[0] ?? {};
    assert.equal(ok, true);
    assert.match(line, /^ssh-ed25519 [\w+/]+=* gatehouse system$/);
    trust(line);
    const { task, client } = await scene.begin();
    assert.match(await scene.call(client, 'ssh', { text: 'echo "hello $((6 * 7))"' }), /hello 42/);
    const [lease] = await scene.leasesOf(task.id);
    assert.match(log(), new RegExp(`ID ${lease?.name} agent-a ${task.id}`));
    const leaked = await scene.call(client, 'leak');
    assert.match(leaked, /SSH_CERTIFICATE\W+\[credential\]/);
    // As each key begins in this format.
    assert.doesNotMatch(leaked, /b3BlbnNzaC1rZXk/);
    await client.close();
    await task.end();
    const left = async () => (await scene.leasesOf(task.id))[0];
    await until(async () => /until it expires/.test((await left())?.problem ?? ''));
    assert.equal((await left())?.state, 'revoking');
    assert.equal((await left())?.maxResidualSeconds, null);
    const tested = await scene.workspace.operator('POST /providers/:name/test', { params: { name: 'system' } });
    assert.deepEqual({ ok: tested.ok, problem: tested.problem }, { ok: true, problem: null });
  });

  test('each provider has an authority of its own, which stays the same', async () => {
    const { workspace } = scene;
    const other = { kind: 'CredentialProvider', name: 'other', environments: ['staging'], from: source };
    await workspace.apply([other as never]);
    const trusts = async () =>
      Object.fromEntries(
        (await workspace.operator('GET /providers')).items.map(({ name, trust: line }) => [name, line]),
      );
    const before = await trusts();
    assert.notEqual(before.system?.split(' ')[1], before.other?.split(' ')[1]);
    await workspace.restart();
    assert.deepEqual(await trusts(), before);
    const { purposes } = await workspace.operator('GET /keys');
    const listed = purposes.find(({ purpose }) => purpose === 'ssh-ca');
    assert.deepEqual(listed?.keys.map(({ kid }) => kid).sort(), ['ssh-ca:other', 'ssh-ca:system']);
    assert.match(listed?.whyFixed ?? '', /provider of another name/);
  });
});

test('issued is within asked, and asked within allowed; what two scopes have in common is within both', () => {
  const bits = <T>(...all: T[]) => fc.subarray(all, { minLength: 1 });
  const addresses = fc.option(bits('10.0.0.0/8', '10.1.0.0/16', '192.0.2.1'), { nil: undefined });
  const command = fc.option(fc.constantFrom('ls', 'df'), { nil: undefined });
  const scope = fc
    .tuple(bits('reader', 'deployer'), fc.subarray(['permit-pty', 'permit-user-rc'] as const), addresses, command)
    .map(([principals, extensions, sourceAddresses, forceCommand]) => ({
      ...{ principals, extensions: [...extensions] },
      ...(sourceAddresses && { sourceAddresses }),
      ...(forceCommand && { forceCommand }),
    }));
  /** All that one lets do: by whom, from where, what. */
  const reach = ({ principals, extensions, sourceAddresses, forceCommand }: Omit<SshSource, 'type'>) =>
    new Set(
      principals.flatMap((who) =>
        (sourceAddresses ?? ['anywhere', '10.0.0.0/8', '10.1.0.0/16', '192.0.2.1']).flatMap((where) =>
          (forceCommand ? [forceCommand] : ['any', 'ls', 'df']).flatMap((what) =>
            ['nothing', ...extensions].map((more) => `${who} ${where} ${what} ${more}`),
          ),
        ),
      ),
    );
  const isPart = (a: Set<string>, b: Set<string>) => [...a].every((each) => b.has(each));
  fc.assert(
    fc.property(scope, scope, scope, (allowed, asked, within) => {
      const narrowed = narrowScope({ type: 'ssh', ...allowed }, asked);
      if ('scope' in narrowed) {
        const issued = reach(narrowed.scope as never);
        assert.ok(isPart(issued, reach(allowed)) && isPart(issued, reach(asked)));
      } else assert.ok(!isPart(reach(asked), reach(allowed)));
      const common = narrowScope(source, asked, [within]);
      if (!('scope' in common)) return;
      const met = reach(common.scope as never);
      assert.ok(isPart(met, reach(asked)) && isPart(met, reach(within)));
    }),
    { numRuns: 1_000 },
  );
});
