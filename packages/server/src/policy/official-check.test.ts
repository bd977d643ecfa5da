import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadedPolicy, readPolicies } from './load.ts';
import { check } from './official-check.ts';
import { subjectsOf } from './schema.ts';
import { shopWorkspace } from './testing/workspace.ts';

test('what is wrong with one policy is said also where those like it cannot be looked at', () => {
  const cedar = 'permit (principal, action == Gatehouse::Action::"shop/get_order", resource) when { context.nothing };';
  const snapshot = shopWorkspace({ one: cedar, two: cedar });
  const subjects = new Map(
    [...snapshot.servers.values()].flatMap(subjectsOf).map((subject) => [subject.ref, subject] as const),
  );
  const { policies, schema } = readPolicies(snapshot, subjects, { validated: true });
  const problemsOf = (source: string) => {
    const two = { ...(policies.get('two#0') as LoadedPolicy), source };
    return check(schema, new Map([...policies, ['two#0', two]]), snapshot.policies, subjects);
  };
  assert.deepEqual(
    problemsOf(cedar).map(({ name }) => name),
    ['one', 'two'],
  );
  assert.deepEqual(
    problemsOf('no policy').map(({ name }) => name),
    ['one'],
  );
});
