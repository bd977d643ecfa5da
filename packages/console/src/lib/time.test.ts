import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortLocal } from './time.ts';

test('a time says of which zone it is, as that zone was at the time', () => {
  const before = process.env['TZ'];
  process.env['TZ'] = 'Europe/Berlin';
  try {
    const summer = Date.parse('2026-07-31T12:00:00Z');
    const winter = Date.parse('2026-01-31T12:00:00Z');
    assert.equal(shortLocal(summer, summer, 'en'), '14:00:00 GMT+2');
    assert.match(shortLocal(winter, summer, 'en'), /31.*13:00:00 GMT\+1$/);
    process.env['TZ'] = 'UTC';
    assert.equal(shortLocal(summer, summer, 'en'), '12:00:00 UTC');
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
});
