import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inZone, shortLocal } from './time.ts';

test('a time says of which zone it is, as that zone was at the time', () => {
  const before = process.env.TZ;
  process.env.TZ = 'Europe/Berlin';
  try {
    const summer = Date.parse('2026-07-31T12:00:00Z');
    const winter = Date.parse('2026-01-31T12:00:00Z');
    assert.equal(shortLocal(summer, summer, 'en'), '14:00:00 GMT+2');
    assert.match(shortLocal(winter, summer, 'en'), /31.*13:00:00 GMT\+1$/);
    process.env.TZ = 'UTC';
    assert.equal(shortLocal(summer, summer, 'en'), '12:00:00 UTC');
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
});

test('a time of another zone names it, and an unknown zone does not break the page', () => {
  assert.equal(inZone('2026-07-31T22:00:00Z', 'Europe/Berlin', 'en-GB'), '1 Aug, 00:00 Europe/Berlin');
  assert.equal(inZone('2026-07-31T22:00:00Z', 'Nowhere/None'), '2026-07-31 22:00:00.000 UTC');
});
