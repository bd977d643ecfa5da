import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { manifest } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { createSoftwarePasskey } from '@gatehouse/sdk/software-passkey';
import { Client } from '@modelcontextprotocol/client';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { manifests } from './support/fixtures.ts';
import { createScimClient } from './support/scim-client.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

const DAY_MS = 24 * 3_600_000;

const permitDrop: ManifestInput = {
  kind: 'Policy',
  name: 'dropping',
  cedar: `@id("drop") permit (principal, action == Gatehouse::Action::"shop/get_ticket", resource);`,
};

const person = (name: string, ...roles: ('admin' | 'security' | 'approver' | 'auditor')[]): ManifestInput => ({
  kind: 'Person',
  email: `${name}@example.test`,
  displayName: name,
  roles,
});

const proposeAs = async (author: SignedInPerson, ...inputs: ManifestInput[]) => {
  const body = { manifests: inputs.map((input) => manifest.parse(input)) };
  return (await author.api('POST /apply', { body })).proposed?.number ?? 0;
};

async function ship(workspace: Workspace, by: SignedInPerson, number: number) {
  const params = { number: String(number) };
  const { digest } = await by.api('GET /policy/proposals/:number', { params });
  const { options } = await by.api('POST /policy/proposals/:number/options', { params, body: { digest } });
  const assertion = by.passkey.assert(options as never, workspace.url);
  return by.api('POST /policy/proposals/:number/ship', { params, body: { digest, assertion } });
}

const prohibited = (more: object): ManifestInput => {
  const shop = manifests().find(({ kind }) => kind === 'ToolServer') as Extract<ManifestInput, { kind: 'ToolServer' }>;
  return { ...shop, ...more } as ManifestInput;
};

onEachDatabase('the second person', (database) => {
  /** In production, with an owner who is an admin, `second` (security) and `third` (admin). */
  async function withDeciders(
    run: (of: {
      workspace: Workspace;
      owner: SignedInPerson;
      second: SignedInPerson;
      third: SignedInPerson;
      wait(ms: number): void;
    }) => Promise<void>,
    { has = ['second', 'third'], also = [] }: { has?: string[]; also?: ManifestInput[] } = {},
  ) {
    let ahead = 0;
    const workspace = await startWorkspace({ database: await database(), clock: { now: () => Date.now() + ahead } });
    try {
      await workspace.apply([
        ...manifests({ production: true }),
        person('second', 'security'),
        person('third', 'admin'),
        ...also,
      ]);
      const owner = await workspace.person('owner@example.test');
      const of = async (name: string) => (has.includes(name) ? workspace.person(`${name}@example.test`) : owner);
      const people = { owner, second: await of('second'), third: await of('third') };
      await run({
        workspace,
        ...people,
        wait: (ms) => {
          ahead += ms;
        },
      });
    } finally {
      await workspace.close();
    }
  }

  /** @proves policy.nobody-alone */
  test('who gets rid of the others is not alone by that: neither by offboarding nor by taking the role', async () => {
    await withDeciders(
      async ({ workspace, owner, second, wait }) => {
        const demotion = await proposeAs(owner, person('second', 'auditor'));
        assert.ok(demotion > 0, 'to take the role from somebody waits for somebody');
        await assert.rejects(ship(workspace, owner, demotion), /somebody else ships it: second@example.test/);
        await owner.api('POST /people/:email/offboard', { params: { email: second.email }, body: {} });
        const relaxing = await proposeAs(owner, permitDrop);
        await assert.rejects(ship(workspace, owner, relaxing), /second@example.test, who could until lately/);
        // What the host's token proposes is nobody's word either.
        const { proposed } = await workspace.apply([permitDrop]);
        await ship(workspace, owner, proposed?.number ?? 0);
        await assert.rejects(ship(workspace, owner, proposed?.number ?? 0), /You have said yes already/);

        await assert.rejects(ship(workspace, owner, proposed?.number ?? 0), /You have said yes already/);

        wait(8 * DAY_MS);
        const signedIn = await workspace.signInAgain(owner);
        const later = await proposeAs(signedIn, permitDrop);
        assert.equal((await ship(workspace, signedIn, later)).state, 'shipped', 'nobody else has decided for a week');
      },
      { has: ['second'] },
    );
  });

  /** @proves policy.nobody-alone */
  test('a workspace of one person ships its own changes, also a week later', async () => {
    await withDeciders(
      async ({ workspace, owner, wait }) => {
        await ship(workspace, owner, await proposeAs(owner, permitDrop));
        wait(8 * DAY_MS);
        const signedIn = await workspace.signInAgain(owner);
        await ship(workspace, signedIn, await proposeAs(signedIn, { ...permitDrop, name: 'more' } as ManifestInput));
      },
      { has: [] },
    );
  });

  /** @proves people.passkey-by-link */
  test('whoever makes the link for somebody’s passkey gets no second person by it', async () => {
    await withDeciders(async ({ workspace, owner, third }) => {
      const puppet = await workspace.person('second@example.test', { recovery: true, by: owner });
      const proposal = await proposeAs(owner, permitDrop);
      await assert.rejects(ship(workspace, puppet, proposal), /link that owner@example.test made/);
      // A passkey that is added in such a session is no better.
      const { options } = await puppet.api('POST /passkeys/options');
      const another = createSoftwarePasskey();
      await puppet.api('POST /passkeys', {
        body: { name: 'another', attestation: another.register(options as never, workspace.url) },
      });
      const third_ = await proposeAs(owner, permitDrop);
      await assert.rejects(
        ship(workspace, { ...puppet, api: puppet.api, passkey: another }, third_),
        /owner@example.test/,
      );

      const params = { email: 'second@example.test' };
      const confirm = (by: SignedInPerson) => by.api('POST /people/:email/passkeys/confirm', { params });
      await assert.rejects(confirm(owner), /You have made the link/);
      await assert.rejects(confirm(puppet), { status: 403 });
      await assert.rejects(workspace.operator('POST /people/:email/passkeys/confirm', { params }), { status: 403 });
      assert.equal(
        (await owner.api('GET /people/:email', { params })).unconfirmed?.madeBy,
        'person:owner@example.test',
      );
      assert.equal((await confirm(third)).unconfirmed, null);
      assert.equal((await ship(workspace, puppet, third_)).state, 'shipped');
    });
  });

  /** @proves people.passkey-by-link */
  test('who asks for an action does not approve it by a passkey whose link they made', async () => {
    await withDeciders(async ({ workspace, owner }) => {
      const agent = await workspace.agent('agent-a');
      const task = await agent.startTask({ template: 'all', intent: 'refund', requestedBy: 'owner@example.test' });
      const client = new Client({ name: 't', version: '1' });
      await client.connect(createMcpTransport(task));
      const call = client.callTool({
        name: 'shop__refund_order',
        arguments: { order: 1042, amount_cents: 4000, currency: 'EUR', reason: 'late' },
      });
      const asked = await call;
      const {
        items: [approval],
      } = await workspace.operator('GET /approvals', { query: { state: 'pending' } });
      assert.ok(approval, JSON.stringify(asked));
      const puppet = await workspace.person('approver@example.test', { by: owner });
      await assert.rejects(puppet.approve(approval.id), /link that owner@example.test made/);
      await client.close();
    });
  });

  /** @proves policy.host-token-is-nobody */
  test('what the token of the host proposes takes two people with passkeys', async () => {
    await withDeciders(async ({ workspace, owner, second, third }) => {
      const { proposed } = await workspace.apply([permitDrop]);
      const number = proposed?.number ?? 0;
      const first = await ship(workspace, owner, number);
      assert.equal(first.state, 'open');
      assert.equal(first.agreedBy, 'person:owner@example.test');
      assert.match(first.mayShip.why ?? '', /You have said yes already; the other is one of: second@example.test/);
      await assert.rejects(ship(workspace, owner, number), /You have said yes already/);
      const shipped = await ship(workspace, second, number);
      assert.equal(shipped.state, 'shipped');
      assert.equal(shipped.decidedBy, 'person:second@example.test');
      const { items } = await workspace.operator('GET /records', { query: { operation: 'policy.agree' } });
      assert.equal(items.length, 1);
      await assert.rejects(ship(workspace, third, number), /shipped already/);
    });
  });

  /** @proves people.passkey-by-link */
  test('whoever has the host lets nobody in as a second person once the workspace is set up', async () => {
    await withDeciders(
      async ({ workspace, owner, wait }) => {
        wait(8 * DAY_MS);
        const author = await workspace.signInAgain(owner);
        const puppet = await workspace.person('second@example.test');
        const number = await proposeAs(author, permitDrop);
        await assert.rejects(ship(workspace, puppet, number), /link that the server's host made/);
        const params = { email: 'second@example.test' };
        // The author's own word for it makes nobody else of it.
        await author.api('POST /people/:email/passkeys/confirm', { params });
        await assert.rejects(ship(workspace, puppet, number), /link that the server's host made/);
      },
      { has: [] },
    );
  });

  /** @proves policy.second-person */
  test('neither another environment nor another route is a way round the second person', async () => {
    await withDeciders(
      async ({ workspace, owner, second }) => {
        const waits = async (...inputs: ManifestInput[]) => {
          const number = await proposeAs(owner, ...inputs);
          assert.ok(number > 0, JSON.stringify(inputs));
          return number;
        };
        const beside: ManifestInput = { kind: 'Environment', name: 'beside', policyChanges: 'direct' };
        await waits(beside, prohibited({ name: 'twin', environments: ['beside'] }));
        // Even where it is there already: what it would reach is what is guarded.
        await ship(workspace, second, await waits(beside));
        await waits(prohibited({ name: 'twin', environments: ['beside'] }));

        const agent = manifests().find(({ kind }) => kind === 'Agent') as Extract<ManifestInput, { kind: 'Agent' }>;
        await waits({ ...agent, owner: 'second@example.test' });
        await assert.rejects(
          owner.api('POST /agents', { body: { agents: [manifest.parse({ ...agent, owner: 'second@example.test' })] } }),
          /agents.second-person/,
        );
      },
      { has: ['second'] },
    );
  });

  const byGroup: ManifestInput = { kind: 'RoleMapping', name: 'shipping', group: 'Shipping', roles: ['security'] };
  const schemas = (...names: string[]) => ({ schemas: names.map((name) => `urn:ietf:params:scim:${name}`) });
  const patch = (...Operations: object[]) => ({ ...schemas('api:messages:2.0:PatchOp'), Operations });

  /** @proves policy.nobody-alone */
  for (const [way, takes] of Object.entries({
    'takes them out of it': ['PATCH', patch({ op: 'remove', path: 'members' })],
    'renames it': ['PATCH', patch({ op: 'replace', path: 'displayName', value: 'Others' })],
    'deletes it': ['DELETE', undefined],
  } as const))
    test(`who has the role by a group of the directory counts for a week after the directory ${way}`, async () => {
      await withDeciders(
        async ({ workspace, owner, wait }) => {
          const { token } = await workspace.operator('POST /scim/tokens', { body: { name: 'directory' } });
          const scim = createScimClient(() => ({ workspace, token }));
          const email = 'dora@example.test';
          const user = {
            ...schemas('schemas:core:2.0:User'),
            userName: email,
            emails: [{ value: email, primary: true }],
          };
          const { body: dora } = await scim('POST', '/Users', user);
          const { body: group } = await scim('POST', '/Groups', {
            ...schemas('schemas:core:2.0:Group'),
            displayName: 'Shipping',
            members: [{ value: dora.id }],
          });
          await workspace.person(email);
          const relaxing = await proposeAs(owner, permitDrop);
          await assert.rejects(ship(workspace, owner, relaxing), /somebody else ships it: dora@example.test/);

          const [method, body] = takes;
          const { status } = await scim(method, `/Groups/${group.id}`, body);
          assert.ok(status < 300, String(status));
          const params = { email };
          assert.deepEqual((await workspace.operator('GET /people/:email', { params })).roles, []);
          await assert.rejects(ship(workspace, owner, relaxing), /dora@example.test, who could until lately/);
          wait(6 * DAY_MS);
          const within = await workspace.signInAgain(owner);
          await assert.rejects(ship(workspace, within, relaxing), /dora@example.test, who could until lately/);
          wait(2 * DAY_MS);
          const signedIn = await workspace.signInAgain(owner);
          const later = await proposeAs(signedIn, permitDrop);
          assert.equal((await ship(workspace, signedIn, later)).state, 'shipped');
        },
        { has: [], also: [byGroup] },
      );
    });
});
