import type { Gate } from '../bridge/gate.ts';
import { createBroker } from '../credentials/broker.ts';
import type { Given } from '../credentials/types.ts';
import { CliFailure } from '../failure.ts';
import { toNumber } from '../verb.ts';

/** Nobody waits for a person longer than this, unless GATEHOUSE_WAIT_SECONDS says so. */
const WAIT_SECONDS = '300';

/**
 * The credentials that a command is to have, as variables: `--env PGPASSWORD={password}`, or `{orders.password}` where there are several providers. They
 * end with the task, and so with the command.
 */
export async function credentialsFor(
  gate: Pick<Gate, 'request' | 'task'>,
  { provider: providers = [], env: wanted = [] }: { provider?: string[]; env?: string[] },
  note: (text: string) => void,
): Promise<{ env: Record<string, string>; secrets: string[] }> {
  const variables = wanted.map(variableOf);
  if (providers.length === 0 && variables.length === 0) return { env: {}, secrets: [] };
  if (providers.length === 0 || variables.length === 0)
    throw new CliFailure(
      'usage',
      'option.missing',
      '--provider says whose credential the command gets, and --env in which variable: --provider orders --env PGPASSWORD={password}.',
    );
  const broker = createBroker(gate);
  const waitMs =
    toNumber(process.env.GATEHOUSE_WAIT_SECONDS || WAIT_SECONDS, 'GATEHOUSE_WAIT_SECONDS', 0, 3_600) * 1_000;
  const parts = new Map<string, Record<string, string>>();
  for (const provider of providers) {
    let given: Given = await broker.ask({ provider }, 0);
    if (given.kind === 'waiting') {
      note(given.detail);
      given = await broker.ask({ provider }, waitMs);
    }
    if (given.kind === 'waiting')
      throw new CliFailure(
        'pending',
        'approval.waiting',
        `${provider}: nobody has answered yet, and what was asked is withdrawn: its task ends here. Run it again when somebody is there, or have it wait for longer (GATEHOUSE_WAIT_SECONDS, in seconds).`,
      );
    if (given.kind === 'refused') throw new CliFailure('refused', given.code, `${provider}: ${given.detail}`);
    parts.set(provider, given.parts);
  }
  const env = Object.fromEntries(variables.map(([name, template]) => [name, filled(template, providers, parts)]));
  // Names of users are shown wherever they are used; what is not to be seen is the rest.
  const secrets = [...parts.values()].flatMap((each) =>
    Object.entries(each).flatMap(([part, value]) => (part === 'username' ? [] : [value, ...linesOf(value)])),
  );
  return { env, secrets };
}

/** A key in PEM may be shown line by line. What every key begins and ends with is nothing to hide. */
const linesOf = (value: string) =>
  value.includes('\n') ? value.split(/\r?\n/).filter((line) => line.length >= 16 && !line.startsWith('-----')) : [];

function variableOf(text: string): [string, string] {
  const [, name, template] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*\{.+)$/s.exec(text) ?? [];
  if (name === undefined || template === undefined)
    throw new CliFailure(
      'usage',
      'option.invalid',
      `--env is NAME=VALUE with a part of the credential in it, such as PGPASSWORD={password}, not "${text}".`,
    );
  return [name, template];
}

function filled(
  template: string,
  providers: readonly string[],
  parts: ReadonlyMap<string, Record<string, string>>,
): string {
  return template.replaceAll(
    /\{(?:([a-z][a-z0-9-]*)\.)?([A-Za-z]+)\}/g,
    (whole, named: string | undefined, part: string) => {
      const provider = named ?? (providers.length === 1 ? providers[0] : undefined);
      const all = provider === undefined ? undefined : parts.get(provider);
      if (all && Object.hasOwn(all, part)) return all[part] as string;
      const known = [...parts].flatMap(([name, each]) => Object.keys(each).map((key) => `{${name}.${key}}`));
      throw new CliFailure(
        'usage',
        'option.invalid',
        `${whole} is no part of these credentials. There are ${known.join(', ')}.`,
      );
    },
  );
}
