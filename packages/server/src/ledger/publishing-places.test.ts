import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPublishingPlace } from './publishing-places.ts';

/** @proves law-7.published */
test('a directory that does not answer holds up publishing, and nothing else', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-hangs-'));
  const pipe = join(directory, 'checkpoint');
  // Opening a pipe that nobody writes to is what a file system that hangs looks like.
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
  await writeFile(join(directory, 'other'), 'x');
  const place = openPublishingPlace(directory, {}, 200);
  try {
    const asked = Array.from({ length: 8 }, () => place.read('checkpoint'));
    const answers = await Promise.allSettled(asked);
    assert.ok(answers.every((each) => each.status === 'rejected' && /does not answer/.test(String(each.reason))));
    assert.equal(await readFile(join(directory, 'other'), 'utf8'), 'x', 'the other threads are free');
    await assert.rejects(place.read('other'), /does not answer/, 'no second thread is given to it');
  } finally {
    const writer = await open(pipe, 'w');
    await writer.close();
  }
  for (let tries = 0; tries < 1_500; tries++) {
    const read = await place.read('other').catch(() => undefined);
    if (read?.toString() === 'x') break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal((await place.read('other'))?.toString(), 'x', 'it goes on once it is answered');
  await place.close();
  rmSync(directory, { recursive: true, force: true });
});
