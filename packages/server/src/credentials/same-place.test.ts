import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CredentialProviderManifest, credentialProviderManifest, manifest } from '@gatehouse/protocol';
import { isSamePlace, PLACE } from './same-place.ts';

const declared = (from: object) =>
  manifest.parse({
    kind: 'CredentialProvider',
    name: 'orders',
    environments: ['prod'],
    from,
  }) as CredentialProviderManifest;

const postgres = {
  type: 'postgres',
  url: 'postgres://broker@db.example.test/shop',
  secret: 'broker',
  grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }],
};
const gitlab = {
  type: 'gitlab-project',
  project: 'acme/shop',
  secret: 'gitlab',
  accessLevel: 'developer',
  scopes: ['read_api'],
};

/** @proves lease.place */
test('what was made is ended where it was made: another kind, address, database or project is another place', () => {
  const was = declared(postgres);
  for (const other of [
    { ...postgres, url: 'postgres://broker@other.example.test/shop' },
    { ...postgres, url: 'postgres://broker@db.example.test:5433/shop' },
    { ...postgres, url: 'postgres://broker@db.example.test/billing' },
    {
      ...postgres,
      type: 'mariadb',
      url: 'mariadb://broker@db.example.test/shop',
      grants: [{ tables: ['orders'], privileges: ['SELECT'] }],
    },
    gitlab,
  ])
    assert.equal(isSamePlace(was, declared(other)), false, JSON.stringify(other));
  assert.equal(isSamePlace(declared(gitlab), declared({ ...gitlab, project: 'acme/other' })), false);
});

test('another secret, certificate, limit or user there is the same place', () => {
  for (const other of [
    { secret: 'rotated' },
    { tls: { ca: 'PEM' } },
    { grants: [{ schema: 'public', tables: ['refunds'], privileges: ['SELECT'] }] },
    { url: 'postgres://another@db.example.test/shop' },
    { connectionLimit: 1 },
  ])
    assert.ok(isSamePlace(declared(postgres), declared({ ...postgres, ...other })), JSON.stringify(other));
});

/** What may change while it is still the same that made a credential and ends it: limits, scopes, and what proves who asks. */
const NOT_PLACE = new Set([
  ...['secret', 'ca', 'tls', 'allowPrivateAddress', 'audience', 'audiences', 'for', 'resource', 'rotateDays'],
  ...['grants', 'connectionLimit', 'statementTimeoutSeconds', 'keys', 'commands', 'channels', 'repositories'],
  ...['permissions', 'scopes', 'accessLevel', 'allow', 'resources', 'buckets', 'serviceAccounts', 'mount'],
  ...['principals', 'sourceAddresses', 'forceCommand', 'extensions', 'in', 'parts'],
]);

/** @proves lease.place */
test('of every member of every kind of provider it is known whether it says where a credential is ended', () => {
  const members = credentialProviderManifest.shape.from.options.flatMap(({ shape }) => Object.keys(shape));
  const unknown = members.filter((member) => !PLACE.includes(member) && !NOT_PLACE.has(member));
  assert.deepEqual(unknown, []);
});
