import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Manifest, manifest, policyManifest } from '@gatehouse/protocol';
import { type Document, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml';

/** What is wrong in a file of manifests, and where. Lines and columns count from 1. */
export interface FileProblem {
  /** Relative to the directory that was loaded. */
  file: string;
  line: number;
  column: number;
  /** Inside the document: `tools.refund_order.tier`; empty for the whole. */
  path: string;
  message: string;
}

/** Everything that is wrong with a directory of manifests, so that it can be put right in one go. */
export class ManifestFileError extends Error {
  override readonly name = 'ManifestFileError';
  readonly problems: FileProblem[];

  constructor(problems: FileProblem[]) {
    super(
      problems
        .map(
          ({ file, line, column, path, message }) => `${file}:${line}:${column}: ${path ? `${path}: ` : ''}${message}`,
        )
        .join('\n'),
    );
    this.problems = problems;
  }
}

/** A manifest with where it stands. */
export interface LocatedManifest {
  manifest: Manifest;
  /** Relative to the directory that was loaded. */
  file: string;
  /** Of its first line. */
  line: number;
  /** The place of a member, or of the deepest that is there on the way to it. */
  locate(keys: readonly (string | number)[]): { line: number; column: number };
  /** What is to be added to the lines and columns of a policy's Cedar text to have those of the file. */
  cedarAt: { lines: number; columns: number };
  /** The whole file. */
  text: string;
}

type Loaded = LocatedManifest;

export interface ReadManifests {
  manifests: LocatedManifest[];
  problems: FileProblem[];
  /** Files of policy tests (`*.test.yaml`), which are not manifests; absolute paths. */
  tests: string[];
}

/**
 * Reads the manifests of one file, or of a directory: `*.yaml` and `*.yml` with any number of documents, `*.cedar` as policies named like their files,
 * subdirectories included but for hidden ones and `node_modules`. Links are not followed.
 *
 * In a stdio server's `args`, `npm:PACKAGE` becomes the file that the package's `bin` names (`npm:PACKAGE#NAME` where it has several),
 * found as Node finds packages from the file's directory upwards; there and in `env`, `file:PATH` becomes an absolute path, as do
 * granted directories, all relative to the file that says so.
 *
 * A directory that a tool server may reach is not read for manifests: what an agent can write must not become policy. `onSkipped`
 * hears of each. If manifests that were read turn out to lie in one, that is refused.
 *
 * Tests of policies (`*.test.yaml`) are no manifests.
 *
 * Throws ManifestFileError. Does not check that manifests fit together: that is for an apply, which knows what is stored.
 */
export function loadManifests(
  given: string,
  onSkipped: (skipped: { directory: string; server: string }) => void = () => undefined,
): Manifest[] {
  const { manifests, problems } = readManifests(given, onSkipped);
  if (problems.length > 0) throw new ManifestFileError(problems);
  return manifests.map(({ manifest }) => manifest);
}

/** The same, with where each manifest stands, and what is wrong beside what could be read. */
export function readManifests(
  given: string,
  onSkipped: (skipped: { directory: string; server: string }) => void = () => undefined,
): ReadManifests {
  const at = resolve(given);
  const tests: string[] = [];
  if (!existsSync(at))
    return { manifests: [], tests, problems: [problemAt('.', 1, `There is no file or directory ${given}.`)] };
  const isDirectory = statSync(at).isDirectory();
  const root = isDirectory ? at : dirname(at);
  const problems: FileProblem[] = [];
  const loaded: Loaded[] = [];
  const waiting = isDirectory ? [root] : [];
  if (!isDirectory) {
    if (!/\.(ya?ml|cedar)$/.test(at))
      problems.push(problemAt(basename(at), 1, 'Manifests are in files called *.yaml, *.yml or *.cedar.'));
    readFile(at, basename(at), loaded, problems, tests);
  }
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    const here = at;
    const grant = grantsOf(loaded).find(({ path }) => isWithin(path, here));
    if (grant) {
      onSkipped({ directory: here, server: grant.from.manifest.kind === 'ToolServer' ? grant.from.manifest.name : '' });
      continue;
    }
    const entries = readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = join(at, entry.name);
      if (entry.isFile()) readFile(path, relative(root, path), loaded, problems, tests);
    }
    // Files of a directory before its subdirectories, so that a grant is known before the walk gets to what it grants.
    for (const entry of entries) {
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
        waiting.push(join(at, entry.name));
    }
  }
  problems.push(...selfGrants(root, loaded), ...duplicates(loaded));
  return { manifests: loaded, problems, tests };
}

function readFile(path: string, file: string, loaded: Loaded[], problems: FileProblem[], tests: string[]): void {
  if (/\.test\.ya?ml$/.test(path)) {
    const line = readFileSync(path, 'utf8')
      .split('\n')
      .findIndex((text) => /^kind\s*:/.test(text));
    if (line < 0) tests.push(path);
    else problems.push(problemAt(file, line + 1, 'A *.test.yaml holds tests of policies and no manifests. Rename it.'));
  } else if (/\.ya?ml$/.test(path)) readYaml(path, file, loaded, problems);
  else if (path.endsWith('.cedar')) {
    const name = basename(path, '.cedar');
    const text = readFileSync(path, 'utf8');
    const parsed = policyManifest.safeParse({ kind: 'Policy', name, cedar: text });
    if (parsed.success)
      loaded.push({
        manifest: parsed.data,
        file,
        line: 1,
        locate: () => ({ line: 1, column: 1 }),
        cedarAt: { lines: 0, columns: 0 },
        text,
      });
    else problems.push(problemAt(file, 1, `The file's name is the policy's name. ${parsed.error.issues[0]?.message}`));
  }
}

/** Anchors may be used; a document that grows by them beyond this is an attack or an accident. */
const ALIASES = 100;

function readYaml(path: string, file: string, loaded: Loaded[], problems: FileProblem[]): void {
  const counter = new LineCounter();
  const text = readFileSync(path, 'utf8');
  const documents = parseAllDocuments(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true });
  if (!Array.isArray(documents)) return;
  for (const document of documents) {
    if (document.errors.length > 0) {
      for (const { message, pos } of document.errors) problems.push(problemAt(file, counter.linePos(pos[0]), message));
      continue;
    }
    const start = lineOf(document, [], counter);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: ALIASES });
    } catch (error) {
      problems.push(problemAt(file, start, (error as Error).message));
      continue;
    }
    if (value === null) continue;
    const resolved = resolveTransport(value, path, (keys, message) =>
      problems.push(problemAt(file, lineOf(document, keys, counter), message, keys)),
    );
    const parsed = manifest.safeParse(resolved);
    if (parsed.success)
      loaded.push({
        manifest: parsed.data,
        file,
        line: start.line,
        locate(keys) {
          const { line, col } = lineOf(document, [...keys], counter);
          return { line, column: col };
        },
        cedarAt: cedarIn(document, counter, text),
        text,
      });
    else {
      for (const issue of parsed.error.issues) {
        const extra = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
        const keys = [...issue.path, ...extra] as (string | number)[];
        problems.push(problemAt(file, lineOf(document, keys, counter), messageOf(issue, value), keys));
      }
    }
  }
}

function messageOf(issue: { code?: string; message: string; path: PropertyKey[] }, value: unknown): string {
  const isKind = issue.path.length === 1 && issue.path[0] === 'kind';
  if (!isKind) return issue.message;
  const kinds = manifest.options.map((option) => option.shape.kind.value).join(', ');
  return `"${(value as { kind?: unknown }).kind ?? ''}" is no kind of manifest. There are ${kinds}.`;
}

/** The place of the deepest node on the way that the document has; a missing member is shown at what should hold it. */
function lineOf(document: Document, keys: (string | number)[], counter: LineCounter): { line: number; col: number } {
  for (let depth = keys.length; depth >= 0; depth--) {
    const node: unknown = depth === 0 ? document.contents : document.getIn(keys.slice(0, depth), true);
    if (isNode(node) && node.range) return counter.linePos(node.range[0]);
  }
  return { line: 1, col: 1 };
}

/** A text over several lines (`cedar: |`) begins on the line below, and is indented. Any other stands where it stands. */
function cedarIn(document: Document, counter: LineCounter, text: string): { lines: number; columns: number } {
  const node: unknown = document.getIn(['cedar'], true);
  if (!isScalar(node) || !node.range) return { lines: 0, columns: 0 };
  const { line, col } = counter.linePos(node.range[0]);
  if (node.type !== 'BLOCK_LITERAL') return { lines: line - 1, columns: node.type === 'PLAIN' ? col - 1 : col };
  const first =
    text
      .split('\n')
      .slice(line)
      .find((each) => each.trim() !== '') ?? '';
  return { lines: line, columns: first.length - first.trimStart().length };
}

function problemAt(
  file: string,
  at: number | { line: number; col: number },
  message: string,
  keys: (string | number)[] = [],
): FileProblem {
  const { line, col } = typeof at === 'number' ? { line: at, col: 1 } : at;
  return { file, line, column: col, path: keys.join('.'), message };
}

type Complain = (keys: (string | number)[], message: string) => void;

/** Works on what was written, whatever its shape: the schema looks at the result. */
function resolveTransport(value: unknown, file: string, complain: Complain): unknown {
  if (!isRecord(value) || value.kind !== 'ToolServer' || !isRecord(value.transport)) return value;
  const { transport } = value;
  if (transport.type !== 'stdio') return value;
  const from = dirname(file);
  const resolved: Record<string, unknown> = { ...transport };
  if (Array.isArray(transport.args)) {
    resolved.args = transport.args.map((arg: unknown, index) => {
      if (typeof arg !== 'string') return arg;
      if (!arg.startsWith('npm:')) return resolveFile(arg, from);
      const found = resolvePackage(arg.slice('npm:'.length), from);
      if ('problem' in found) complain(['transport', 'args', index], found.problem);
      return 'path' in found ? found.path : arg;
    });
  }
  if (isRecord(transport.env)) {
    resolved.env = Object.fromEntries(
      Object.entries(transport.env).map(([name, text]) => [
        name,
        typeof text === 'string' ? resolveFile(text, from) : text,
      ]),
    );
  }
  if (Array.isArray(transport.directories)) {
    resolved.directories = transport.directories.map((grant: unknown) =>
      isRecord(grant) && typeof grant.path === 'string'
        ? { ...grant, path: resolve(from, grant.path.replace(/^file:/, '')) }
        : grant,
    );
  }
  return { ...value, transport: resolved };
}

/** `file:///x` is a URL and `file:./x` a path; both name a file. */
function resolveFile(text: string, from: string): string {
  if (!text.startsWith('file:')) return text;
  if (text.startsWith('file://')) return fileURLToPath(text);
  return resolve(from, text.slice('file:'.length));
}

function resolvePackage(reference: string, from: string): { path: string } | { problem: string } {
  const [, name = '', , bin] = /^((?:@[a-z0-9._-]+\/)?[a-z0-9._-]+)(#([A-Za-z0-9._-]+))?$/.exec(reference) ?? [];
  if (!name) return { problem: `"npm:${reference}" is not the name of a package.` };
  const here = dirname(fileURLToPath(import.meta.url));
  const directory = findPackage(name, from) ?? findPackage(name, here);
  if (!directory) return { problem: `The package ${name} is not installed: npm install ${name}` };
  const { bin: bins } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { bin?: unknown };
  const table = typeof bins === 'string' ? { [name]: bins } : isRecord(bins) ? bins : {};
  const names = Object.keys(table);
  const file = bin === undefined && names.length === 1 ? table[names[0] as string] : table[bin ?? ''];
  if (typeof file === 'string') return { path: join(directory, file) };
  return {
    problem:
      names.length === 0
        ? `The package ${name} has no program: its package.json names no bin.`
        : `Say which program of the package ${name} is meant: npm:${name}#${names.join(` or npm:${name}#`)}`,
  };
}

function findPackage(name: string, from: string): string | undefined {
  for (let at = from; ; at = dirname(at)) {
    const directory = join(at, 'node_modules', ...name.split('/'));
    if (existsSync(join(directory, 'package.json'))) return realpathSync(directory);
    if (dirname(at) === at) return undefined;
  }
}

function grantsOf(loaded: readonly Loaded[]): { path: string; from: Loaded }[] {
  return loaded.flatMap((from) =>
    from.manifest.kind === 'ToolServer' && from.manifest.transport.type === 'stdio'
      ? from.manifest.transport.directories.map(({ path }) => ({ path, from }))
      : [],
  );
}

function selfGrants(root: string, loaded: readonly Loaded[]): FileProblem[] {
  return grantsOf(loaded).flatMap(({ path, from }) => {
    const held = loaded.find(({ file }) => isWithin(path, join(root, file)));
    return held
      ? [
          problemAt(
            from.file,
            from.line,
            `The directory ${path} that this tool server may reach holds the manifest ${held.file}: an agent could read or write what governs it. Grant another directory.`,
          ),
        ]
      : [];
  });
}

function duplicates(loaded: readonly Loaded[]): FileProblem[] {
  const seen = new Map<string, Loaded>();
  return loaded.flatMap((each) => {
    const name = each.manifest.kind === 'Person' ? each.manifest.email : each.manifest.name;
    const key = `${each.manifest.kind} ${name}`;
    const before = seen.get(key);
    if (!before) seen.set(key, each);
    return before
      ? [problemAt(each.file, each.line, `${key} is also in ${before.file}:${before.line}. Keep one.`)]
      : [];
  });
}

function isWithin(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
