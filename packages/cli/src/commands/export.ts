import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { CliFailure } from '../failure.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  output?: string;
  force?: boolean;
}

type Exported = { kind: string; name?: string; cedar?: string; mode?: string };

export const exportWorkspace: Run<Options> = async ({ options, out }) => {
  const { manifests } = await operatorOf(options).call('GET /export');
  if (out.json) return out.printJson({ manifests });
  const all = manifests as Exported[];
  if (options.output === undefined) return out.print(yamlOf(all).trimEnd());
  const directory = resolve(options.output);
  const files = filesOf(all);
  for (const [path, text] of files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text, { flag: options.force ? 'w' : 'wx' }).catch((cause: unknown) => {
      const { code } = cause as NodeJS.ErrnoException;
      const why = code === 'EEXIST' ? 'is there already; --force replaces it' : `cannot be written (${code})`;
      throw new CliFailure('failed', 'export.file', `${target} ${why}.`, { cause });
    });
  }
  out.print(`${all.length} objects in ${files.size} files in ${directory}`);
};

const fileByKind: Record<string, string> = {
  Environment: 'environments.yaml',
  Person: 'people.yaml',
  Blueprint: 'agents.yaml',
  Agent: 'agents.yaml',
  Template: 'templates.yaml',
};

function filesOf(manifests: Exported[]): Map<string, string> {
  const grouped = Map.groupBy(manifests, ({ kind, name, mode }) => {
    const file = fileByKind[kind];
    if (file !== undefined) return file;
    // Part of a path, and from the network.
    if (name === undefined || !/^[a-z][a-z0-9-]{0,63}$/.test(name))
      throw new CliFailure('failed', 'export.name', `The server gave a ${kind} without a proper name.`);
    // Text alone has no mode.
    if (kind === 'Policy') return `policies/${name}.${mode === undefined ? 'cedar' : 'yaml'}`;
    return `tools/${name}.yaml`;
  });
  return new Map(
    [...grouped].map(([file, group]) => [
      file,
      file.endsWith('.cedar') ? `${(group[0]?.cedar ?? '').trimEnd()}\n` : yamlOf(group),
    ]),
  );
}

function yamlOf(manifests: Exported[]): string {
  return manifests.map((each) => stringify(each, { lineWidth: 120 })).join('---\n');
}
