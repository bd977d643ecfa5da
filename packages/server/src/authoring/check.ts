import {
  environmentManifest,
  type LocatedProblem,
  type Manifest,
  type PolicyProblem,
  type ToolDefinitions,
} from '@gatehouse/protocol';
import { budgetProblems } from '../enforcement/index.ts';
import { readPolicies, subjectsIn } from '../policy/index.ts';
import { checkWorkspace } from '../registry/index.ts';
import { type Directory, locator } from './directory.ts';
import { STAND_IN_ENVIRONMENT, withStandIns } from './stand-ins.ts';
import { readTestFiles, type TestFile } from './test-files.ts';
import { type Authored, authoredFrom } from './workspace.ts';

export interface Checked {
  problems: LocatedProblem[];
  /** Undefined while some manifest can't be read. */
  workspace: Authored | undefined;
  tests: TestFile[];
  counts: { manifests: number; policies: number; templates: number; tools: number };
}

/** Everything that an apply of this directory alone would refuse, all at once, and without a server. */
export function checkDirectory(directory: Directory, given: ToolDefinitions): Checked {
  const { manifests: located } = directory;
  const tests = readTestFiles(directory.path, directory.tests);
  const { manifests, definitions } = withStandIns(
    located.map(({ manifest }) => manifest),
    given,
    tests.standIns,
  );
  const locate = locator(located);
  const workspace = authoredFrom(manifests, definitions);
  const problems = [
    ...tests.problems,
    ...directory.problems.map(
      ({ file, line, column, path, message }): LocatedProblem => ({
        code: 'manifest.invalid',
        severity: 'error',
        kind: '',
        name: '',
        policy: null,
        path,
        place: null,
        message,
        help: null,
        file,
        at: { line, column, endLine: line, endColumn: column + 1 },
        source: null,
      }),
    ),
    ...[
      ...checkManifests(manifests),
      ...checkPolicies(workspace),
      ...budgetProblems(workspace).map((problem) => ofManifest({ kind: 'Budget', ...problem })),
      ...checkDefinitions(workspace, definitions),
    ].map(locate),
  ];
  return {
    problems: inOrder(withoutEchoes(problems)),
    workspace: directory.problems.length === 0 ? workspace : undefined,
    tests: tests.files,
    counts: {
      manifests: manifests.length,
      policies: workspace.policies.size,
      templates: workspace.templates.size,
      tools: [...workspace.servers.values()].reduce((sum, { tools }) => sum + tools.size, 0),
    },
  };
}

/** Where tools are that only tests speak of. */
const standInEnvironment = environmentManifest.parse({ kind: 'Environment', name: STAND_IN_ENVIRONMENT });

/** As the registry checks what refers to what, taking the directory for the whole workspace. */
function checkManifests(manifests: readonly Manifest[]): PolicyProblem[] {
  const keyOf = (manifest: Manifest) =>
    `${manifest.kind}/${manifest.kind === 'Person' ? manifest.email : manifest.name}`;
  const agents = manifests.filter((manifest) => manifest.kind === 'Agent');
  return checkWorkspace({
    objects: new Map(
      [...manifests, standInEnvironment].flatMap((manifest) =>
        manifest.kind === 'Agent' ? [] : [[keyOf(manifest), manifest] as const],
      ),
    ),
    isWhole: true,
    trustDomain: '',
    agents,
    created: new Set(manifests.map(keyOf)),
    lookAlikeAgent: () => undefined,
    keyHolder: () => undefined,
    environmentOf: () => undefined,
  }).map(ofManifest);
}

/** What is wrong with a manifest, as what is wrong with a policy is said. */
function ofManifest({
  kind,
  name,
  path,
  message,
}: Pick<PolicyProblem, 'kind' | 'name' | 'path' | 'message'>): PolicyProblem {
  const nothing = { policy: null, place: null, help: null };
  return { code: 'workspace.invalid', severity: 'error', kind, name, path, message, ...nothing };
}

/** What an apply was refused for, each with its place in the files that were applied. */
export function locateProblems(
  directory: Directory,
  refused: readonly (Partial<PolicyProblem> & Pick<PolicyProblem, 'kind' | 'name' | 'path' | 'message'>)[],
): LocatedProblem[] {
  return inOrder(refused.map((each) => ({ ...ofManifest(each), ...each })).map(locator(directory.manifests)));
}

export function checkPolicies(workspace: Authored): PolicyProblem[] {
  return readPolicies(workspace, subjectsIn(workspace), { validated: false }).problems;
}

/** Definitions that are not those of the manifests: what is checked against them may not be what a server has. */
function checkDefinitions({ servers }: Authored, definitions: ToolDefinitions): PolicyProblem[] {
  return [...servers.values()].flatMap(({ name, manifest }) => {
    const known = new Map(Object.entries(definitions.servers[name] ?? {}));
    const base = { kind: 'ToolServer', name, policy: null, place: null };
    const unseen = Object.keys(manifest.tools).filter((tool) => !known.has(tool));
    const missing: PolicyProblem = {
      ...base,
      path: 'tools',
      code: 'definitions.missing',
      severity: 'info',
      message: `nobody has seen what ${listed(unseen)} of ${name} take, so that no condition on their arguments can be checked`,
      help: 'if the server serves them by now: `gatehouse definitions pull`',
    };
    const outdated = Object.entries(manifest.tools).flatMap(([tool, { definition }]): PolicyProblem[] => {
      const found = known.get(tool);
      if (!found || definition === undefined || definition === found.digest) return [];
      const path = `tools.${tool}.definition`;
      const message = `the manifest pins another definition of ${name}/${tool} than the one it is checked against`;
      const help = 'run `gatehouse definitions pull` again, or correct the pin';
      return [{ ...base, path, code: 'definitions.outdated', severity: 'error', message, help }];
    });
    return unseen.length > 0 ? [missing, ...outdated] : outdated;
  });
}

const SHOWN = 5;

function listed(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names.slice(0, SHOWN).join(', ')}${more}`;
}

/** Two rooms may say the same of one place: what the registry says of a name, and what the engine says of it then. */
function withoutEchoes(problems: LocatedProblem[]): LocatedProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ file, at, code, path, message }) => {
    const key = JSON.stringify([file, at?.line, at?.column, path, code.startsWith('definitions') ? message : '']);
    const isEcho = path !== 'cedar' && path !== '' && seen.has(key);
    seen.add(key);
    return !isEcho;
  });
}

export function inOrder(problems: LocatedProblem[]): LocatedProblem[] {
  return problems.sort(
    (a, b) =>
      (a.file ?? '').localeCompare(b.file ?? '') ||
      (a.at?.line ?? 0) - (b.at?.line ?? 0) ||
      (a.at?.column ?? 0) - (b.at?.column ?? 0),
  );
}
