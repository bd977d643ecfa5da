import { randomBytes } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * S5: secrets of tests that anybody would recognise. Each holds a mark that is the same for all processes of one run of the tests, and stands nowhere
 * else; what the tests print, and all that workspaces say and leave behind, is searched for it, and for whatever was stored as a secret.
 */
const MARK_VARIABLE = 'GATEHOUSE_TEST_CANARY';

/** One for this run of the tests. */
export function markOfRun(): string {
  process.env[MARK_VARIABLE] ??= `cnry${randomBytes(8).toString('hex')}`;
  return process.env[MARK_VARIABLE];
}

/** A secret that is never to be seen again. `kind`: as its real kind begins, `ghs_`. */
export const canary = (kind = ''): string => `${kind}${markOfRun()}${randomBytes(8).toString('hex')}`;

/** As it is, in hexadecimal, and in base64 from wherever in three bytes it begins (the first and last characters depend on what is beside it). */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const shifted = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replaceAll('=', '');
    return text.slice(Math.ceil((shift * 4) / 3), -1);
  });
  const urlSafe = shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [...new Set([value, bytes.toString('hex'), encodeURIComponent(value), ...shifted, ...urlSafe])];
}

/** Shorter ones stand in any text by chance. */
const MIN_CHARACTERS = 12;

/** What must not be found: the mark, and what is added. */
export function createWatch() {
  const forms = new Map<string, string>();
  const add = (value: string, name: string) => {
    if (value.length >= MIN_CHARACTERS) for (const form of formsOf(value)) forms.set(form, name);
  };
  add(markOfRun(), 'a canary');
  const found = (text: string | Buffer): string | undefined => {
    for (const [form, name] of forms) if (text.includes(form)) return name;
    return undefined;
  };
  return {
    add,
    found,
    /** Path and name of each that stands in a file below. */
    foundBelow(directory: string): string[] {
      return globSync('**/*', { cwd: directory })
        .filter((path) => statSync(join(directory, path), { throwIfNoEntry: false })?.isFile())
        .flatMap((path) => {
          const name = found(readFileSync(join(directory, path)));
          return name === undefined ? [] : [`${path}: ${name}`];
        });
    },
  };
}
