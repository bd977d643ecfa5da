import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest, ManifestInput } from '@gatehouse/protocol';
import fc from 'fast-check';
import { keyOf } from './objects.ts';
import { by, manifests, newKey, openWorkspace } from './testing/workspace.ts';

const word = fc.stringMatching(/^[a-z][a-z0-9]{2,8}$/);
const text = fc.string({ minLength: 1, maxLength: 40 });
const tier = fc.constantFrom(1, 2, 3, 4);
const effects = fc.uniqueArray(fc.constantFrom('read', 'write', 'delete', 'pay', 'send'), { minLength: 1 });
const keys = Array.from({ length: 6 }, newKey);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Whole workspaces: each name refers only to what is there. */
const workspaces = fc
  .record({
    environments: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
    people: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
    servers: fc.uniqueArray(word, { maxLength: 3 }),
    templates: fc.uniqueArray(word, { maxLength: 3 }),
    blueprints: fc.uniqueArray(word, { minLength: 1, maxLength: 2 }),
    agents: fc.uniqueArray(word, { maxLength: 6 }),
    policies: fc.uniqueArray(word, { maxLength: 2 }),
  })
  .chain((names) => {
    const some = (from: string[]) => (from.length > 0 ? fc.subarray(from) : fc.constant([]));
    const one = (from: string[]) => fc.constantFrom(...from);
    const tools = fc.dictionary(word, fc.record({ tier, effects, resourceArgument: optional(word) }), { maxKeys: 4 });
    const transport = fc.oneof(
      fc.record({
        type: fc.constant('stdio'),
        command: fc.constantFrom('node', '/usr/bin/server'),
        args: optional(fc.array(text, { maxLength: 3 })),
        env: optional(fc.dictionary(word, text, { maxKeys: 2 })),
      }),
      fc.record({ type: fc.constant('http'), url: fc.webUrl(), allowPrivateAddress: optional(fc.boolean()) }),
    );
    const each = <T>(list: string[], make: (name: string, index: number) => fc.Arbitrary<T>) =>
      fc.tuple(...list.map(make));
    return fc
      .tuple(
        each(names.environments, (name) =>
          fc.record({
            kind: fc.constant('Environment'),
            name: fc.constant(name),
            description: optional(text),
            production: optional(fc.boolean()),
          }),
        ),
        each(names.people, (name, index) =>
          fc.record({
            kind: fc.constant('Person'),
            email: fc.constant(`${name}@example.test`),
            displayName: text,
            roles: fc.constant(index === 0 ? ['admin', 'owner'] : ['approver']),
          }),
        ),
        each(names.servers, (name) =>
          fc.record({
            kind: fc.constant('ToolServer'),
            name: fc.constant(name),
            environments: fc.subarray(names.environments, { minLength: 1 }),
            transport,
            stateless: optional(fc.boolean()),
            tools,
            resources: optional(fc.record({ tier })),
            clientRequests: optional(fc.record({ sampling: optional(fc.boolean()) })),
          }),
        ),
        each(names.templates, (name) =>
          fc.record({
            kind: fc.constant('Template'),
            name: fc.constant(name),
            parameters: fc.constant({ order: { type: 'integer' }, note: { type: 'string', required: false } }),
            allow: fc.array(
              fc.record({
                tools: fc.constant(['*', ...names.servers.map((server) => `${server}/*`)]),
                when: optional(fc.constant({ order: '$order', kind: 'plain', count: 3 })),
              }),
              { maxLength: 2 },
            ),
            ttlSeconds: optional(fc.integer({ min: 60, max: 86_400 })),
          }),
        ),
        each(names.blueprints, (name) =>
          fc.record({
            kind: fc.constant('Blueprint'),
            name: fc.constant(name),
            templates: some(names.templates),
          }),
        ),
        each(names.agents, (name, index) =>
          fc.record({
            kind: fc.constant('Agent'),
            name: fc.constant(name),
            owner: one(names.people).map((person) => `${person}@example.test`),
            purpose: text,
            environment: one(names.environments),
            blueprint: one(names.blueprints),
            state: optional(fc.constantFrom('draft', 'active', 'suspended', 'retired')),
            risk: optional(fc.constantFrom('low', 'high')),
            keys: fc.constant(index % 2 ? keys.slice(index, index + 1) : []),
            bearerOnly: optional(fc.boolean()),
          }),
        ),
        each(names.policies, (name) =>
          fc.record({ kind: fc.constant('Policy'), name: fc.constant(name), cedar: text }),
        ),
      )
      .map((groups) => groups.flat() as ManifestInput[]);
  });

const sorted = (all: Manifest[]) => [...all].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

test('an export gives back what was applied, makes the same workspace elsewhere, and applied here changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(workspaces, async (inputs) => {
      await using here = await openWorkspace();
      const wanted = manifests(...inputs);
      const options = { prune: true, by };
      const planned = await here.registry.plan(wanted, { prune: true });
      const created = await here.registry.apply(wanted, options).catch((error) => {
        // Two generated names may look alike; that they are refused is shown elsewhere.
        fc.pre(!/looks like/.test(String(error.message)));
        throw error;
      });
      assert.deepEqual(planned, created);
      assert.ok(created.every(({ operation }) => operation === 'create'));

      const exported = await here.registry.exportManifests();
      assert.deepEqual(sorted(exported), sorted(JSON.parse(JSON.stringify(wanted))));
      const again = await here.registry.apply(exported, options);
      assert.ok(again.every(({ operation, note }) => operation === 'unchanged' && note === undefined));

      await using elsewhere = await openWorkspace();
      await elsewhere.registry.apply(exported, options);
      assert.deepEqual(await elsewhere.registry.exportManifests(), exported);
    }),
    { numRuns: 8 },
  );
});

test('from any workspace to any other: a second apply of it is unchanged, and prune leaves nothing else but retired agents', async () => {
  await fc.assert(
    fc.asyncProperty(workspaces, workspaces, async (first, second) => {
      await using workspace = await openWorkspace();
      const { registry } = workspace;
      const options = { prune: true, by };
      const lookAlikes = (error: Error) => {
        fc.pre(!/looks like|a key belongs to one agent/.test(error.message));
        throw error;
      };
      await registry.apply(manifests(...first), options).catch(lookAlikes);
      await registry.apply(manifests(...second), options).catch(lookAlikes);
      const changes = await registry.apply(manifests(...second), options);
      assert.ok(changes.every(({ operation }) => operation === 'unchanged'));
      const wanted = new Set(manifests(...second).map(keyOf));
      for (const each of await registry.exportManifests())
        assert.ok(wanted.has(keyOf(each)) || (each.kind === 'Agent' && each.state === 'retired'), keyOf(each));
    }),
    { numRuns: 8 },
  );
});
