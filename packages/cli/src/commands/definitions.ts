import type { DefinitionView } from '@gatehouse/protocol';
import { commandToPaste } from '@gatehouse/protocol/command-to-paste';
import { CliFailure } from '../failure.ts';
import { lineDiff } from '../line-diff.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface ListOptions extends ServerOptions {
  server?: string;
  state?: string;
}

interface OneOptions extends ServerOptions {
  kind: DefinitionView['kind'];
}

export const listDefinitions: Run<ListOptions> = async ({ options, out }) => {
  const { server, state } = options;
  const { items } = await operatorOf(options).call('GET /definitions', { query: { server, state } });
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none.');
  out.table(
    ['DEFINITION', 'KIND', 'STATE', 'SEEN', 'REVIEWED BY'],
    items.map((each) => [
      `${each.server}/${each.name}`,
      each.kind,
      each.state,
      timeOf(each.seenAt),
      each.reviewedBy ?? '',
    ]),
  );
};

export const diffDefinition: Run<OneOptions> = async ({ args: [ref = ''], options, out }) => {
  const found = await find(ref, options);
  if (out.json) return out.printJson(found);
  out.facts([
    ['Definition', `${found.server}/${found.name}`],
    ['Kind', found.kind],
    ['State', found.state],
    ['Approved', found.approved?.digest ?? 'never'],
    ['Served', found.served?.digest ?? 'not any more'],
  ]);
  const text = (side: DefinitionView['served']) => (side ? JSON.stringify(side.body, null, 2).split('\n') : []);
  for (const [mark, line] of lineDiff(text(found.approved), text(found.served))) {
    const shown = `${mark} ${clean(line)}`;
    out.print(mark === ' ' ? shown : out.style(mark === '+' ? 'green' : 'red', shown));
  }
  if (found.state !== 'held' || !found.served) return;
  const command = commandToPaste`gatehouse definitions approve ${ref} --digest ${found.served.digest}`;
  if (command) out.note(`To let it through as it is shown here: ${command}`);
};

export const review =
  (decision: 'approve' | 'reject'): Run<OneOptions & { digest: string }> =>
  async ({ args: [ref = ''], options, out }) => {
    const { server, name } = split(ref);
    const body = { server, name, kind: options.kind, decision, digest: options.digest };
    const reviewed = await operatorOf(options).call('POST /definitions/review', { body });
    if (out.json) out.printJson(reviewed);
    else out.print(`${clean(ref)}: ${decision === 'approve' ? 'approved' : 'rejected'}; it is now ${reviewed.state}.`);
  };

async function find(ref: string, options: OneOptions): Promise<DefinitionView> {
  const { server, name } = split(ref);
  const { items } = await operatorOf(options).call('GET /definitions', { query: { server } });
  const found = items.find((each) => each.kind === options.kind && each.name === name);
  if (found) return found;
  throw new CliFailure(
    'failed',
    'definition.unknown',
    `${server} has no ${options.kind} "${name}". \`gatehouse definitions list --server ${server}\` lists what there is.`,
  );
}

function split(ref: string): { server: string; name: string } {
  const slash = ref.indexOf('/');
  if (slash > 0) return { server: ref.slice(0, slash), name: ref.slice(slash + 1) };
  throw new CliFailure('usage', 'definition.reference', `"${ref}" is not SERVER/NAME.`);
}

/** For `policy check` and its like where there is no server. */
export const pull: Run<ServerOptions & { output?: string }> = async ({ options, out }) => {
  const { pullDefinitions } = await import('./policy-directory.ts');
  const definitions = await pullDefinitions(options);
  const tools = Object.values(definitions.servers).reduce((sum, each) => sum + Object.keys(each).length, 0);
  if (options.output === undefined || out.json) return out.printJson(definitions);
  const { writeFile } = await import('node:fs/promises');
  await writeFile(options.output, `${JSON.stringify(definitions, null, 2)}\n`);
  out.print(`${tools} definitions of ${Object.keys(definitions.servers).length} servers in ${options.output}`);
};
