import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../src/program.ts';
import { cliReference } from '../src/reference.ts';
import { examplesOf } from '../src/verb.ts';

function leaves(command: Command, before: string[] = []): [string[], Command][] {
  return command.commands.flatMap((child): [string[], Command][] => {
    const path = [...before, child.name()];
    return child.commands.length > 0 ? leaves(child, path) : [[path, child]];
  });
}

it('docs/reference/cli.md says what the command line does (scripts/docs.ts writes it)', () => {
  const path = join(import.meta.dirname, '..', '..', '..', 'docs', 'reference', 'cli.md');
  assert.equal(readFileSync(path, 'utf8'), cliReference());
});

it('every verb has --json and an example, and every example is a command line that exists', () => {
  for (const [path, command] of leaves(createProgram())) {
    assert.ok(
      command.options.some(({ long }) => long === '--json'),
      path.join(' '),
    );
    const examples = examplesOf.get(command) ?? [];
    assert.ok(examples.length > 0, path.join(' '));
    for (const [line] of examples) {
      for (const [flag] of line.matchAll(/(?<= )--[a-z-]+/g))
        assert.ok(
          command.options.some(({ long }) => long === flag),
          `${flag} in: gatehouse ${line}`,
        );
      // A group's default verb may be called by the group's name alone.
      assert.ok(line.startsWith(path.join(' ')) || line.startsWith(path[0] ?? ''), line);
    }
  }
});
