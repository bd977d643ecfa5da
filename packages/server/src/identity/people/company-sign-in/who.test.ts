import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type IdentityProviderManifest, manifest } from '@gatehouse/protocol';
import { type House, openHouse } from '../testing/house.ts';
import { companySignInLimits as limits } from './limits.ts';
import { whoIs } from './who.ts';

let house: House;
let provider: IdentityProviderManifest;
before(async () => {
  house = await openHouse();
  provider = manifest.parse({
    kind: 'IdentityProvider',
    name: 'company',
    displayName: 'Company',
    issuer: 'https://idp.example.test',
    clientId: 'gatehouse',
    groupsClaim: 'groups',
    provision: true,
    roles: { staff: ['auditor'], admins: ['admin'] },
  }) as IdentityProviderManifest;
  await house.registry.apply([provider], { prune: false, by: 'gatehouse' });
});
after(() => house.close());

async function arrives(email: string, groups: string[]) {
  const claims = { iss: provider.issuer, sub: email, email, email_verified: true, groups };
  const { refusal } = await house.storage.transaction((transaction) => whoIs(house, transaction, provider, claims));
  await house.registry.refresh([]);
  const known = house.registry.snapshot().directory.get(email);
  return { refusal: refusal?.code, roles: known?.roles, groups: known?.groups };
}

/** @proves oidc.groups-bound */
test('of the groups that a provider names as many as the limit count, and no more', async () => {
  const others = (count: number) => Array.from({ length: count }, (_, at) => `other-${at}`);
  assert.deepEqual(await arrives('last@example.test', [...others(limits.groups - 1), 'staff', 'admins']), {
    refusal: undefined,
    roles: ['auditor'],
    groups: ['staff'],
  });
  const beyond = await arrives('beyond@example.test', [...others(limits.groups), 'admins']);
  assert.deepEqual(beyond, { refusal: 'identity.no-group', roles: undefined, groups: undefined });
});

/** @proves oidc.declared-roles */
test('whom a manifest declares gets no role from a group at the provider', async () => {
  await house.declare('dana@example.test', 'developer');
  const { roles, refusal } = await arrives('dana@example.test', ['staff', 'admins']);
  assert.deepEqual([roles, refusal], [['developer'], undefined]);
});
