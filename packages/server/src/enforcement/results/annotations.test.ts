import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { ServedDefinition } from '../../registry/index.ts';
import { openRoom, type Room } from '../testing/room.ts';

const EMAIL = 'anna@example.com';
const IBAN = 'DE89370400440532013000';
const SECRET = ['ghp_', 'a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8'].join('');

let room: Room;
const definitions = ['read', 'vault'].map(
  (name): ServedDefinition => ({ kind: 'tool', name, body: { name, inputSchema: { type: 'object', properties: {} } } }),
);
const apply = (...manifests: ManifestInput[]) => room.apply(manifests, definitions);
const permit = (annotations: string, tool: string): string =>
  `${annotations} permit (principal, action == Gatehouse::Action::"shop/${tool}", resource);`;
const policy = (...cedar: string[]): ManifestInput => ({ kind: 'Policy', name: 'extra', cedar: cedar.join('\n') });

before(async () => {
  room = await openRoom();
  await apply(
    {
      kind: 'ToolServer',
      name: 'shop',
      environments: ['prod'],
      transport: { type: 'stdio', command: 'node' },
      resources: { tier: 1 },
      tools: {
        read: { tier: 1, effects: ['read'] },
        vault: { tier: 1, effects: ['read'], returns: { sensitive: ['credentials'] } },
      },
    },
    // What permits these calls is written in the policies below alone.
    { kind: 'Template', name: 'all', allow: [{ tools: ['shop#resources'] }] },
  );
});
after(() => room.close());

async function shown(name: string): Promise<string> {
  const outcome = await room.call(name, {}, {}, async () => ({
    result: 'success',
    body: { content: [{ type: 'text', text: `${EMAIL} ${IBAN} ${SECRET}` }] },
  }));
  assert.ok(outcome.kind === 'done', outcome.kind);
  return JSON.stringify(outcome.sent.body);
}
const parts = (text: string) => [EMAIL, IBAN, SECRET].map((part) => text.includes(part));

/** @proves result.masked */
test('what a policy says with @mask is masked, and the masks of all that permit add up', async () => {
  await apply(policy(permit('', 'read')));
  assert.deepEqual(parts(await shown('read')), [true, true, false]);
  await apply(policy(permit('@mask("financial")', 'read')));
  assert.deepEqual(parts(await shown('read')), [true, false, false]);
  await apply(policy(permit('@id("a") @mask("financial")', 'read'), permit('@id("b") @mask("personal")', 'read')));
  assert.deepEqual(parts(await shown('read')), [false, false, false]);
});

/** @proves result.masked */
test('@reveal shows secrets only where the tool says that it gives them, and everything that permits reveals them', async () => {
  const reveal = '@reveal("credentials")';
  await apply(policy(permit(reveal, 'read'), permit('@id("v")', 'vault')));
  assert.equal((await shown('read')).includes(SECRET), false, 'the tool does not say that it has any');
  assert.equal((await shown('vault')).includes(SECRET), false, 'nothing reveals them');
  await apply(policy(permit(reveal, 'vault')));
  assert.equal((await shown('vault')).includes(SECRET), true);
  await apply(policy(permit(`@id("a") ${reveal}`, 'vault'), permit('@id("b")', 'vault')));
  assert.equal((await shown('vault')).includes(SECRET), false, 'one of two reveals nothing');
});

/** @proves result.masked */
test('what an environment masks is masked in every result there, whatever a policy reveals', async () => {
  await apply(policy(permit('', 'read'), permit('@id("v") @reveal("credentials")', 'vault')));
  await apply({ kind: 'Environment', name: 'prod', production: true, mask: ['personal', 'credentials'] });
  for (const name of ['read', 'vault']) assert.deepEqual(parts(await shown(name)), [false, false, false], name);
});
