import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProviderAbilities, residualWords } from '@gatehouse/protocol';

/** @proves direct.approved */
test('whoever lets a credential out is told for how long it works on, whatever its provider can do', () => {
  const full: ProviderAbilities = { canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 };
  const words = (more: Partial<ProviderAbilities>, seconds = 300) => residualWords({ ...full, ...more }, seconds);
  assert.equal(words({}), 'It ends with its task, by a kill, or when it is revoked.');
  assert.match(words({ maxResidualSeconds: 30 }), /up to 30 s after that\.$/);
  assert.match(words({ maxResidualSeconds: null }), /up to 300 s after that/);
  assert.match(words({ canEndSessions: false }), /What was opened with it before stays open\.$/);
  assert.match(words({ endsOnlyByGatehouse: true }), /works on past its time/);
  const lasting = { canRevoke: false, maxResidualSeconds: null };
  assert.match(words(lasting), /can't be taken back: it works until it expires, 300 s at most, also after a kill/);
  assert.match(words({ ...lasting, leastSeconds: 900 }), /900 s at most/);
  assert.match(words({ ...lasting, isStored: true }), /until somebody changes it/);
});
