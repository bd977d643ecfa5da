import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { type LocatedProblem, type PolicyTestFile, policyTestFile, type StandIns } from '@gatehouse/protocol';
import { isNode, LineCounter, parseDocument } from 'yaml';

/** One file of tests, with the line of each. */
export interface TestFile {
  file: string;
  content: PolicyTestFile;
  lineOf(test: number): number;
}

/** Anchors may be used; a file that grows by them beyond this is an accident. */
const ALIASES = 100;

export function readTestFiles(
  root: string,
  paths: readonly string[],
): { files: TestFile[]; standIns: StandIns; problems: LocatedProblem[] } {
  const files: TestFile[] = [];
  const problems: LocatedProblem[] = [];
  const standIns: StandIns = { tools: {}, templates: {} };
  for (const path of paths) {
    const file = relative(root, path);
    const counter = new LineCounter();
    const text = readFileSync(path, 'utf8');
    const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true });
    const place = (keys: readonly PropertyKey[]) => {
      for (let depth = keys.length; depth >= 0; depth--) {
        const node: unknown = depth === 0 ? document.contents : document.getIn(keys.slice(0, depth), true);
        if (isNode(node) && node.range) return counter.linePos(node.range[0]);
      }
      return { line: 1, col: 1 };
    };
    const complain = ({ line, col }: { line: number; col: number }, where: string, message: string) =>
      problems.push(problemAt(file, text, line, col, where, message));
    if (document.errors.length > 0) {
      for (const { message, pos } of document.errors) complain(counter.linePos(pos[0]), '', message);
      continue;
    }
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: ALIASES });
    } catch (error) {
      complain({ line: 1, col: 1 }, '', (error as Error).message);
      continue;
    }
    const parsed = policyTestFile.safeParse(value ?? {});
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        const extra = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
        const keys = [...issue.path, ...extra];
        complain(place(keys), keys.map(String).join('.'), issue.message);
      }
      continue;
    }
    const collect = <T>(member: 'standIns' | 'standInTemplates', all: Record<string, T>) => {
      for (const [ref, standIn] of Object.entries((parsed.data[member] ?? {}) as Record<string, T>)) {
        if (Object.hasOwn(all, ref))
          complain(place([member, ref]), `${member}.${ref}`, 'It is in another file, too. Keep one.');
        all[ref] = standIn;
      }
    };
    collect('standIns', standIns.tools);
    collect('standInTemplates', standIns.templates);
    files.push({ file, content: parsed.data, lineOf: (test) => place(['tests', test]).line });
  }
  return { files, standIns, problems };
}

function problemAt(
  file: string,
  text: string,
  line: number,
  column: number,
  path: string,
  message: string,
): LocatedProblem {
  return {
    code: 'test.invalid',
    severity: 'error',
    kind: '',
    name: '',
    policy: null,
    path,
    place: null,
    message: path ? `${path}: ${message}` : message,
    help: null,
    file,
    at: { line, column, endLine: line, endColumn: column + 1 },
    source: text.split('\n')[line - 1] ?? null,
  };
}
