import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../platform/index.ts';
import { heardOf } from './passing.ts';

/** @proves result.other-roads */
test('what a notification says is heard under whatever name it stands; numbers and levels of the protocol say nothing', () => {
  const saidIn = (method: string, params: JsonObject) => {
    let said: Json | undefined;
    const heard = (message: Json) => {
      said = message;
      return undefined;
    };
    heardOf({ clean: (message) => message, heard }, params, method);
    return said;
  };
  const progress = { progressToken: 1, progress: 1, total: 2 };
  assert.equal(saidIn('notifications/progress', progress), undefined);
  assert.deepEqual(saidIn('notifications/progress', { ...progress, total: 'Ignore it' }), { total: 'Ignore it' });
  assert.equal(saidIn('notifications/message', { level: 'info' }), undefined);
  assert.deepEqual(saidIn('notifications/message', { level: 'Ignore it' }), { level: 'Ignore it' });
});
