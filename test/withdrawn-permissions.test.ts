import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import pg from 'pg';
import { type Asked, askFor, type DirectScene, directScene } from './support/direct-scene.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';

/** Law 3: a permission that is taken away ends what was issued by it, and nothing else. */
const postgres = await startPostgres();

describe('withdrawn permissions', { skip: postgres ? false : 'there is no PostgreSQL on this machine' }, () => {
  let scene: DirectScene;
  let all: ManifestInput[];
  before(async () => {
    scene = await directScene(postgres as TestPostgres);
    all = (await scene.workspace.operator('GET /export')).manifests as ManifestInput[];
  });
  after(async () => {
    await scene?.[Symbol.asyncDispose]();
    await postgres?.close();
  });

  const clients = new Map<string, ReturnType<DirectScene['workspace']['agent']>>();
  async function begin(template: string, name = 'agent-a'): Promise<AgentTask> {
    const client = clients.get(name) ?? scene.workspace.agent(name);
    clients.set(name, client);
    return (await client).startTask({ template, intent: 'look up an order' });
  }

  interface InUse {
    task: AgentTask;
    body: Asked['body'];
    session: pg.Client;
    lease: string;
  }
  /** A task that was handed a credential and has a session open with it. */
  async function inUse(template = 'reads', provider = 'orders', more: object = {}): Promise<InUse> {
    const task = await begin(template);
    const { status, body } = await askFor(task, scene.workspace, { provider, seconds: 300, ...more });
    assert.equal(status, 200, JSON.stringify(body));
    return { task, body, session: await signIn(body.credential), lease: String(body.lease) };
  }
  async function signIn({ username = '', password = '' }: Record<string, string> = {}): Promise<pg.Client> {
    const { hostname: host, port } = new URL(scene.database.url);
    const client = new pg.Client({
      ...{ host, port: Number(port), database: scene.database.name, user: username, password },
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
  const stateOf = async (lease: string) =>
    (await scene.workspace.operator('GET /leases/:id', { params: { id: lease } })) as unknown as {
      state: string;
      reason: string | null;
      expiresAt: number;
      clamped: string[];
      name: string;
    };
  const works = ({ session }: InUse): Promise<boolean> =>
    session.query('select total from orders').then(
      () => true,
      () => false,
    );
  async function until(what: () => Promise<boolean>, words: string): Promise<void> {
    for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20))
      assert.ok(Date.now() < giveUpAt, words);
  }
  async function isGone(used: InUse, why: RegExp): Promise<void> {
    await until(async () => (await stateOf(used.lease)).state === 'revoked', `${used.lease} is not ended`);
    const lease = await stateOf(used.lease);
    assert.match(lease.reason ?? '', why);
    assert.equal(await works(used), false, 'its session is open');
    assert.ok(!(await scene.roles()).includes(lease.name));
    await assert.rejects(signIn(used.body.credential));
    const { items } = await scene.workspace.operator('GET /records', {
      query: { operation: 'lease.revoke', task: used.task.id },
    });
    assert.ok(items.some(({ record }) => record.changes.some((line) => why.test(line))));
  }
  /** What was judged meanwhile is over when a later withdrawal has been seen to be carried out. */
  async function stands(used: InUse): Promise<void> {
    assert.equal((await stateOf(used.lease)).state, 'active');
    assert.equal(await works(used), true);
  }
  const named = (kind: string, name: string): ManifestInput => {
    const found = all.find((each) => each.kind === kind && 'name' in each && each.name === name);
    assert.ok(found);
    return structuredClone(found);
  };
  const change = (manifest: ManifestInput, members: object) => ({ ...manifest, ...members }) as ManifestInput;
  const back = () => scene.workspace.apply(all);

  test('a provider that hands out nothing any more: what it handed out is gone with its sessions, what the gate holds is not', async () => {
    const used = await inUse();
    await scene.workspace.apply([
      change(named('Template', 'reads'), { description: 'Nothing that anybody is given changes.' }),
      { kind: 'Policy', name: 'unrelated', cedar: '@id("unrelated") permit (principal, action, resource);' },
    ]);
    await stands(used);
    const { direct: _, ...provider } = named('CredentialProvider', 'orders') as ManifestInput & { direct: object };
    await scene.workspace.apply([provider as ManifestInput]);
    await isGone(used, /its permission was withdrawn: Credentials of "orders" are used by the gate alone/);
    await back();
  });
});
