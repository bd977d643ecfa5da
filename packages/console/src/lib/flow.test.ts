import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isApprovalState, labelWords, throughWords } from './flow.ts';

test('labels and their ways are said in words', () => {
  assert.equal(labelWords('untrusted'), 'untrusted content');
  assert.equal(labelWords('sensitive:personal'), 'personal data');
  assert.equal(throughWords('task/tsk_1', 'tsk_1').words, 'this task');
  assert.deepEqual(throughWords('task/tsk_0', 'tsk_1'), {
    kind: 'task',
    id: 'tsk_0',
    words: 'a task that handed on to it',
  });
  assert.equal(throughWords('agent/a/b', 'tsk_1').words, 'what a/b keeps');
  assert.equal(throughWords('store', 'tsk_1').words, 'store');
});

test('a state that is no approval’s is not taken for one', () => {
  assert.ok(isApprovalState('pending'));
  assert.ok(!isApprovalState('constructor'));
});
