import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlPolicyManifest } from '@gatehouse/protocol';
import { compileControlPolicies } from './control-policies.ts';

const routes = [
  { name: 'POST /agents/:name/keys', group: 'operate' },
  // The built-in policies name it.
  { name: 'POST /trust-domain/root/export', group: 'administer' },
] as const;
const agent = {
  type: 'Agent',
  name: 'a',
  owner: 'dana@example.test',
  environment: 'test',
  production: false,
  risk: 'low',
} as const;

function asked(...cedar: string[]) {
  const policies = cedar.map((text, at): [string, ControlPolicyManifest] => [
    `policy-${at}`,
    { kind: 'ControlPolicy', name: `policy-${at}`, cedar: text },
  ]);
  return compileControlPolicies(routes, new Map(policies)).decide({
    principal: { type: 'person', email: 'dana@example.test', roles: ['owner'], groups: [] },
    route: 'POST /agents/:name/keys',
    resource: agent,
    via: 'passkey',
    restricted: false,
  });
}

/** @proves roles.policy-error */
test('a policy that cannot be evaluated denies, whatever the others permit', () => {
  assert.equal(asked().allowed, true);
  const overflow = '9223372036854775807 + 1 > 0';
  const forbidden = asked(
    `forbid (principal, action in Action::"operate", resource) when { resource.risk == "low" && ${overflow} };`,
  );
  assert.deepEqual(forbidden, { allowed: false, policies: [], reasons: ['a policy could not be evaluated'] });
  assert.equal(asked(`permit (principal, action, resource) when { ${overflow} };`).allowed, false);
});
