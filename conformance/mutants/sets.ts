import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  baselineRule,
  flowRule,
  type Manifest,
  manifest,
  type StandIns,
  type ToolDefinitions,
} from '@gatehouse/protocol';
import {
  type Directory,
  readDefinitions,
  readDirectory,
  readTestFiles,
  type TestFile,
} from '../../packages/server/src/authoring/index.ts';
import { builtInPolicies } from '../../packages/server/src/policy/index.ts';
import { quickstartStory } from './story.ts';

/** What replays a change over what agents did. */
export interface Replay {
  /** Whether any of it would be decided otherwise, or at another tier. */
  differs(change: Manifest): Promise<boolean>;
  close(): Promise<void>;
}
export type Story = () => Promise<Replay>;

/** What faults are put into, with the tests beside it. */
export interface MutantSet {
  name: string;
  directory: Directory;
  manifests: Manifest[];
  definitions: ToolDefinitions;
  tests: TestFile[];
  standIns: StandIns;
  story?: Story;
}

export function mutantSets(root: string): MutantSet[] {
  const packs = readdirSync(join(root, 'packs'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [
    { ...setOf(root, 'examples/quickstart'), story: quickstartStory },
    ...packs.map(({ name }) => setOf(root, `packs/${name}`)),
    builtIn(root),
  ];
}

function setOf(root: string, name: string): MutantSet {
  const directory = readDirectory(join(root, name));
  const { files, standIns } = readTestFiles(directory.path, directory.tests);
  return {
    name,
    directory,
    manifests: directory.manifests.map((each) => each.manifest),
    definitions: readDefinitions(directory.path) ?? { kind: 'ToolDefinitions', servers: {} },
    tests: files,
    standIns,
  };
}

/** As policies of a workspace in which the rules themselves are off everywhere: so a fault in one is not made up for by it. */
function builtIn(root: string): MutantSet {
  const off = { flowRulesOff: [...flowRule.options], baseline: { rulesOff: [...baselineRule.options] } };
  return {
    ...setOf(root, 'packages/server/src/policy'),
    name: 'built-in rules',
    manifests: [
      manifest.parse({ kind: 'Environment', name: 'production', ...off }),
      ...builtInPolicies([]).map(({ name, cedar }) =>
        manifest.parse({ kind: 'Policy', name: name.slice(name.indexOf('/') + 1), cedar }),
      ),
    ],
  };
}
