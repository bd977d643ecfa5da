import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ManifestInput, manifest } from '@gatehouse/protocol';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { openHouse } from '../../identity/people/testing/house.ts';
import { createRegistry } from '../../registry/index.ts';
import { createPolicyChanges } from './policy-changes.ts';

const ADMIN = 'admin@example.test';
const parsed = (...inputs: ManifestInput[]) => inputs.map((input) => manifest.parse(input));

const production = (policyChanges: 'direct' | 'second-person'): ManifestInput => ({
  kind: 'Environment',
  name: 'prod',
  production: true,
  policyChanges,
});
const permit: ManifestInput = { kind: 'Policy', name: 'all', cedar: 'permit (principal, action, resource);' };
const interns = (...members: string[]): ManifestInput => ({ kind: 'Group', name: 'interns', members, allow: [] });
const notInterns: ManifestInput = {
  kind: 'Policy',
  name: 'not-interns',
  cedar: 'forbid (principal, action, resource) when { principal in Gatehouse::Group::"interns" };',
};

onEachDatabase('what another replica has just applied', (database) => {
  /** A change at a replica that knows `before` and has not heard of `since`. */
  async function proposed(before: ManifestInput[], since: ManifestInput, change: ManifestInput): Promise<boolean> {
    const house = await openHouse({ database: await database() });
    try {
      await house.declare(ADMIN, 'admin', 'security');
      await house.enrol(ADMIN);
      const apply = (...inputs: ManifestInput[]) =>
        house.registry.apply(parsed(...inputs), { prune: false, by: 'operator' });
      await apply(...before);
      const registry = await createRegistry({ ...house, trustDomain: 'example.test' });
      await apply(since);
      const changes = createPolicyChanges({ ...house, registry });
      const answer = await changes.change({
        manifests: parsed(change),
        prune: false,
        note: '',
        by: `person:${ADMIN}`,
        describe: async () => [],
      });
      return answer.proposed !== undefined;
    } finally {
      await house.close();
    }
  }

  /** @proves policy.second-person */
  test('that a second person is asked for holds at once on every replica', async () => {
    assert.equal(await proposed([production('direct')], production('second-person'), permit), true);
    assert.equal(await proposed([production('second-person')], production('direct'), permit), false);
  });

  /** @proves policy.second-person */
  test('that a policy looks at groups is known at once on every replica', async () => {
    const before = [production('second-person'), interns(ADMIN)];
    assert.equal(await proposed(before, notInterns, interns()), true);
    assert.equal(await proposed(before, { kind: 'Environment', name: 'other' }, interns()), false);
  });
});
