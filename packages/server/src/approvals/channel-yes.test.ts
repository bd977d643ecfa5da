import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSealer } from '../storage/index.ts';
import { channelOf, channelYesProblem, sealYes } from './channel-yes.ts';

const sealer = createSealer(Buffer.alloc(32, 1));
const said = {
  approval: 'apr_1',
  digest: 'sha256-1',
  person: 'ada@example.test',
  channel: 'slack',
  who: 'U1',
  at: 1,
  verified: { body: 'x', signature: 'y' },
};
const of = { id: 'apr_1', digest: 'sha256-1', decidedBy: 'ada@example.test' };

/** @proves channel.yes-sealed */
test('a kept yes of a channel holds for its approval, person and digest; written or changed in the database it is none', () => {
  const text = sealYes(said, sealer);
  assert.equal(channelYesProblem(text, of, sealer), null);
  assert.equal(channelOf(text), 'slack');
  for (const other of [{ id: 'apr_2' }, { digest: 'sha256-2' }, { decidedBy: 'eve@example.test' }])
    assert.notEqual(channelYesProblem(text, { ...of, ...other }, sealer), null);
  const kept = JSON.parse(text) as Record<string, unknown>;
  for (const [member, value] of Object.entries({
    person: 'eve@example.test',
    channel: 'other',
    who: 'U2',
    at: 2,
    verified: {},
  })) {
    const changed = JSON.stringify({ ...kept, [member]: value });
    assert.notEqual(
      channelYesProblem(changed, { ...of, decidedBy: String({ ...kept, [member]: value }.person) }, sealer),
      null,
      member,
    );
  }
  const otherSeal = (JSON.parse(sealYes({ ...said, approval: 'apr_2' }, sealer)) as { seal: string }).seal;
  assert.notEqual(channelYesProblem(JSON.stringify({ ...kept, seal: otherSeal }), of, sealer), null);
  assert.notEqual(channelYesProblem(text, of, createSealer(Buffer.alloc(32, 2))), null, 'of another house');
  assert.notEqual(channelYesProblem(text, of, undefined), null);
});
