import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogUnit } from './storage.ts';
import { createWriter } from './writer.ts';

const unit: LogUnit = { guards: [], records: [], bodies: [] };

async function openWriter() {
  const commits: number[] = [];
  const writer = createWriter({
    async commit(_log, _first, units) {
      commits.push(units.length);
      return units.map(() => ({ ok: true, sequences: [] }));
    },
    size: async () => 0,
  });
  await writer.open('log');
  return { writer, commits };
}

test('what may wait is written with the next unit for which somebody waits, before it and in one commit', async () => {
  const { writer, commits } = await openWriter();
  const order: string[] = [];
  const outcome = writer.append(unit, true).then(() => order.push('outcome'));
  await writer.append(unit).then(() => order.push('dispatch'));
  await outcome;
  assert.deepEqual(commits, [2]);
  assert.deepEqual(order, ['outcome', 'dispatch']);
});

test('what may wait is written by itself when nothing else comes, also when it came while something was written', async () => {
  const { writer, commits } = await openWriter();
  await writer.append(unit, true);
  const dispatch = writer.append(unit);
  await Promise.resolve();
  await Promise.resolve();
  await Promise.all([dispatch, writer.append(unit, true)]);
  assert.equal(
    commits.reduce((sum, length) => sum + length),
    3,
  );
});

test('what may wait does not get lost when the writer closes', async () => {
  const { writer, commits } = await openWriter();
  const outcome = writer.append(unit, true);
  await writer.close();
  assert.deepEqual(commits, [1]);
  assert.ok((await outcome).ok);
  await assert.rejects(writer.append(unit, true), /Nothing|unavailable|closed|database/i);
});

test('an exclusive turn that waits behind what may wait does not hang', async () => {
  const { writer, commits } = await openWriter();
  const outcome = writer.append(unit, true);
  const release = await writer.exclusive();
  assert.deepEqual(commits, [1]);
  const later = writer.append(unit, true);
  release();
  await Promise.all([outcome, later]);
  assert.deepEqual(commits, [1, 1]);
});
