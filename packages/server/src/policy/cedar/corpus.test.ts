/** The published integration tests of Cedar (cedar-policy/cedar-integration-tests, Apache-2.0), read from GATEHOUSE_DATA; not shipped here. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCorpus } from './testing/corpus.ts';

const directory = join(process.env.GATEHOUSE_DATA ?? '', 'cedar');
const present = process.env.GATEHOUSE_DATA !== undefined && existsSync(join(directory, 'corpus-tests.tar.gz'));
const missing =
  `Cedar's published tests are not at ${present ? directory : 'GATEHOUSE_DATA/cedar'}: clone ` +
  'https://github.com/cedar-policy/cedar-integration-tests into a directory named cedar and set GATEHOUSE_DATA to its parent';

/** @proves policy.cedar-corpus */
test('the compiled engine answers the published tests of Cedar as they say', {
  skip: present ? false : missing,
}, () => {
  const { files, requests, differences } = runCorpus(directory, { every: 8 });
  assert.deepEqual(differences, []);
  assert.ok(files > 900 && requests > 7_000, `${files} files, ${requests} requests`);
});
