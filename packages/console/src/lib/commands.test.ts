import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../../cli/src/program.ts';
import { readReceiptFile } from '../../../cli/src/receipt-file.ts';
import { commands } from './commands.ts';
import { receiptFile } from './receipt-file.ts';

test('every command that the console tells people to run is one that the CLI has', () => {
  const lines = Object.values(commands).map((command) => (typeof command === 'string' ? command : command('NAME')));
  for (const line of lines) {
    const words = /^(?:gatehouse|node \/path\/to\/\S+\/gatehouse\.mjs) (.+)$/.exec(line)?.[1]?.split(' ');
    if (words) assertVerb(createProgram(), words, line);
    else assert.equal(line, 'npm run demo');
  }
});

function assertVerb(program: Command, words: string[], line: string): void {
  let command = program;
  let rest = words;
  for (;;) {
    const child = command.commands.find((each) => each.name() === rest[0]);
    if (!child) break;
    command = child;
    rest = rest.slice(1);
  }
  assert.notEqual(command, program, `${line}: no such verb`);
  const { operands, unknown } = command.parseOptions(rest);
  assert.deepEqual(unknown, [], `${line}: no such option`);
  const taken = command.registeredArguments;
  const required = taken.filter((each) => each.required);
  assert.ok(
    operands.length >= required.length && operands.length <= taken.length,
    `${line}: wrong number of arguments`,
  );
}

test('a receipt downloaded from the console is one that the CLI verifies', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-receipt-'));
  try {
    const path = join(directory, 'receipt.json');
    const receipt = { log: 'one', sequence: 3, entry: '{}', proof: 'proof', vkey: 'key' };
    writeFileSync(path, JSON.stringify(receiptFile('act_1', [receipt])));
    assert.deepEqual((await readReceiptFile(path)).receipts, [receipt]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
