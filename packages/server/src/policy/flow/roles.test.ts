import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolSetting } from '@gatehouse/protocol';
import type { Json, JsonObject } from '../../platform/index.ts';
import { labelsOf } from '../../registry/index.ts';
import { reachesNobody } from './roles.ts';

const tool = (args: NonNullable<ToolSetting['arguments']>) => ({
  labels: labelsOf({ tier: 2, effects: ['write', 'send'], arguments: args }),
});
const guests = { role: 'recipient', leftOut: 'nobody' } as const;

/** @proves flow.left-out */
test('a call without its destination reaches nobody only where an operator has said so of every one', () => {
  const event = tool({ title: { role: 'content' }, guests });
  const leftOut: JsonObject[] = [{}, { guests: null }, { guests: [] }, { guests: '' }];
  for (const given of leftOut) assert.ok(reachesNobody(event, { title: 'Lunch', ...given }), JSON.stringify(given));
  assert.ok(!reachesNobody(event, { guests: ['a@example.test'] }));
  assert.ok(!reachesNobody(event, { guests: [''] }), 'a list of nothing may be a list of everybody');

  assert.ok(!reachesNobody(tool({ text: { role: 'content' }, channel: { role: 'recipient' } }), { text: 'hello' }));
  assert.ok(!reachesNobody(tool({ text: { role: 'content' } }), { text: 'hello' }), 'it goes where it likes');
  assert.ok(!reachesNobody(tool({ guests, link: { role: 'url' } }), {}), 'the other destination may be somewhere');
  const hostile: Json[] = [null, 'guests', [], 7];
  for (const given of hostile) assert.ok(!reachesNobody(event, given), JSON.stringify(given));
});
