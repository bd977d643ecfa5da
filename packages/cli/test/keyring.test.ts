import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type SecretService, startSecretService } from '../../../test/support/secret-service.ts';
import { createCli, startTown } from './support.ts';

/** Agents' keys in a real keyring: gnome-keyring-daemon as the Secret Service of a session. */
describe('the keyring of the system', () => {
  const cleanups: (() => unknown)[] = [];
  let service: SecretService | undefined;
  let town: Awaited<ReturnType<typeof startTown>>;

  before(async () => {
    service = await startSecretService();
    town = await startTown({ after: (cleanup) => void cleanups.push(cleanup as () => unknown) }, 'http://127.0.0.1:1/');
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
    await service?.close();
  });

  const cli = () =>
    createCli(town.directory, {
      GATEHOUSE_URL: town.workspace.url,
      GATEHOUSE_DATA_DIR: town.workspace.dataDir,
      ...service?.env,
    });
  const enrol = () => cli().run('agent', 'enroll', town.agentName, '--keyring', '--json');
  /** Each `intent` is a task of its own, so that none is taken from the cache. */
  const token = (intent: string) => {
    const of = ['--agent', town.agentName, '--template', 'try-out', '--intent', intent];
    return cli().run('token', ...of, '--identity', 'keyring', '--json');
  };

  /** @proves enroll.keyring */
  it('keeps the key: it enrols, proves the agent, is used again after the session, and lies in no file in the clear', async (t) => {
    if (!service) return t.skip('there is no Secret Service on this machine');
    const first = await enrol();
    assert.equal(first.code, 0, first.stderr);
    const { thumbprint, created, keyFile } = first.json<{ thumbprint: string; created: boolean; keyFile: null }>();
    assert.deepEqual([created, keyFile], [true, null]);
    assert.ok(!existsSync(join(town.directory, 'config', 'gatehouse', 'agents')), 'no key file was made');
    assert.equal((await token('first')).code, 0);

    await service.restart();
    const again = await enrol();
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(again.json<object>(), { ...first.json<object>(), created: false, registered: false });
    assert.equal(again.json<{ thumbprint: string }>().thumbprint, thumbprint);
    assert.equal((await token('again')).code, 0);

    const files = readdirSync(service.home, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
    assert.ok(files.length > 0);
    for (const { parentPath, name } of files)
      assert.doesNotMatch(readFileSync(join(parentPath, name), 'latin1'), /"kty"/);
  });

  it('that is locked gives nothing and says so, and the key is there when it is open again', async (t) => {
    if (!service) return t.skip('there is no Secret Service on this machine');
    assert.equal((await enrol()).code, 0);
    await service.restart({ locked: true });
    for (const refused of [await enrol(), await token('locked')]) {
      assert.equal(refused.code, 69, refused.stderr);
      assert.match(refused.stderr, /keyring is locked.*unlock it/);
    }
    await service.restart();
    assert.equal((await token('open')).code, 0);
  });
});
