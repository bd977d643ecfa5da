import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { LocatedProblem, Manifest, Place, PolicyProblem, ToolDefinitions } from '@gatehouse/protocol';
import { toolDefinitions } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { type LocatedManifest, type ReadManifests, readManifests } from '../registry/index.ts';

/** The file beside the manifests that says what tools take and give. */
export const DEFINITIONS_FILE = 'definitions.json';

export type Directory = ReadManifests & { path: string };

export function readDirectory(path: string): Directory {
  return { path, ...readManifests(path) };
}

/** From the file that is named, or the one in the directory; undefined where there is none. */
export function readDefinitions(directory: string, file?: string): ToolDefinitions | undefined {
  const beside = existsSync(directory) && statSync(directory).isDirectory() ? join(directory, DEFINITIONS_FILE) : '';
  const path = file ?? (existsSync(beside) ? beside : undefined);
  if (path === undefined) return undefined;
  const fail = (why: string) =>
    new GatehouseError(
      'bad-request',
      'definitions.invalid',
      `${path} ${why}. \`gatehouse definitions pull\` writes one.`,
    );
  if (!existsSync(path)) throw fail('is not there');
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw fail(`is no JSON (${(error as Error).message})`);
  }
  const result = toolDefinitions.safeParse(parsed);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw fail(`does not hold the definitions of tools: ${issue?.path.join('.')}: ${issue?.message}`);
}

const nameOf = (manifest: Manifest) => (manifest.kind === 'Person' ? manifest.email : manifest.name);

/** Finds for each problem the place in the files that were read. */
export function locator(manifests: readonly LocatedManifest[]): (problem: PolicyProblem) => LocatedProblem {
  const byKey = new Map(manifests.map((each) => [`${each.manifest.kind}/${nameOf(each.manifest)}`, each]));
  return (problem) => {
    const found = byKey.get(`${problem.kind}/${problem.name}`);
    if (!found) return { ...problem, file: null, at: null, source: null };
    const at = problem.place ? placeInFile(found, problem.place) : placeOfMember(found, problem.path);
    return { ...problem, file: found.file, at, source: found.text.split('\n')[at.line - 1] ?? null };
  };
}

/** From the place in the text of a policy to that in its file. */
function placeInFile({ cedarAt: { lines, columns } }: LocatedManifest, place: Place): Place {
  return {
    line: place.line + lines,
    column: place.column + columns,
    endLine: place.endLine + lines,
    endColumn: place.endColumn + columns,
  };
}

/** `allow[0].tools[1]` as written in the file, up to the end of the line or the comment behind it. */
function placeOfMember({ locate, text }: LocatedManifest, path: string): Place {
  const keys = [...path.matchAll(/[^.[\]]+/g)].map(([key], at) => (at > 0 && /^\d+$/.test(key) ? Number(key) : key));
  const { line, column } = locate(keys);
  const rest = (text.split('\n')[line - 1] ?? '').slice(column - 1);
  const word = /^("[^"]*"|'[^']*'|[^\s,\]}]+)/.exec(rest)?.[0] ?? rest;
  return { line, column, endLine: line, endColumn: column + Math.max(1, word.length) };
}
