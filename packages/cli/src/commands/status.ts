import type { StatusView } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions, visitorOf } from '../server-address.ts';
import type { Run } from '../verb.ts';
import { VERSION } from '../version.ts';

export const status: Run<ServerOptions> = async ({ options, out }) => {
  const found = await visitorOf(options).call('GET /status');
  const exit = exits[found.health.state];
  if (out.json) {
    out.printJson(found);
    return exit;
  }
  const headlines = {
    well: out.style('green', 'is well'),
    ailing: out.style('yellow', 'works, and needs somebody'),
    denying: out.style('red', 'denies everything'),
  };
  const failing = ({ what, since, at, problem }: StatusView['troubles'][number]): [string, string] => [
    what === 'changes' ? 'Changes' : 'Recording',
    `fails since ${timeOf(since)}, last at ${timeOf(at)}${problem === null ? '' : `: ${problem}`}`,
  ];
  out.print(`${found.publicUrl} ${headlines[found.health.state]}`);
  for (const { words } of found.health.problems) out.print(`  ${clean(words)}.`);
  out.facts([
    ['Version', found.version],
    ['Replica', found.replica],
    ['Database', found.database],
    ['Running since', timeOf(found.startedAt)],
    ['MCP', found.mcpUrl],
    ['Calls in flight', found.inFlight],
    ...found.troubles.map(failing),
    ...recordFacts(found.record),
    [
      'Credentials',
      found.stuck?.length
        ? found.stuck
            .map(
              ({ provider, count, since }) => `${count} of ${provider} STUCK, the first fails since ${timeOf(since)}`,
            )
            .join(', ')
        : null,
    ],
    ['Sinks', found.sinks?.map(({ name, state, problem }) => `${name} ${problem ?? state}`).join(', ') || null],
    ['Secrets due', found.secretsDue?.join(', ') || null],
    ['Data', found.dataDir],
  ]);
  return exit;
};

/** A load balancer and whoever restarts it need to know of the last only. */
const exits = { well: exitCodes.ok, ailing: exitCodes.failed, denying: exitCodes.unavailable };

interface SigninOptions extends ServerOptions {
  recovery?: boolean;
}

export const signinLink: Run<SigninOptions> = async ({ args: [email = ''], options, out }) => {
  const body = { email, recovery: options.recovery === true };
  const { url, expiresAt } = await operatorOf(options).call('POST /people/signin-links', { body });
  if (out.json) return out.printJson({ url, expiresAt });
  out.print(url);
  out.note(`For ${email} only: it works once, until ${timeOf(expiresAt)}.`);
};

export const version: Run<object> = async ({ out }) => {
  if (out.json) out.printJson({ version: VERSION, node: process.version });
  else out.print(VERSION);
};

function recordFacts(record: StatusView['record']): [string, string | null][] {
  if (!record) return [];
  const { problem, witnessing, publishing } = record;
  const cosigned = witnessing?.cosigned;
  const waits = witnessing?.uncosignedSince ?? null;
  return [
    ['Record', problem],
    [
      'Cosigned',
      witnessing &&
        `${cosigned ? `${cosigned.size} records at ${timeOf(cosigned.at)}` : 'nothing yet'}${waits === null ? '' : `; more since ${timeOf(waits)}`}${witnessing.refuses ? '; calls are refused' : ''}`,
    ],
    [
      'Witnesses',
      witnessing?.witnesses.map(({ name, size, problem }) => `${name} ${problem ?? `${size} records`}`).join(', ') ??
        null,
    ],
    [
      'Published',
      publishing &&
        `${publishing.size} records at ${publishing.place}${publishing.problem ? `: ${publishing.problem}` : ''}`,
    ],
  ];
}
