import { resolve } from 'node:path';
import { table } from '../bench/measure.ts';
import { startHouse } from './definitions/house.ts';
import { readPublished } from './definitions/published.ts';
import {
  casesOf,
  malform,
  mutate,
  nameThemAll,
  type PublishedVerdict,
  poison,
  restored,
  type Verdict,
} from './definitions/run.ts';
import type { Part } from './part.ts';

/**
 * Definition integrity (S2a): everything that a server can change of what it serves, over the definitions of real servers and through a running
 * gate; published poisoned definitions; calls that do not fit. `--data DIR` holds `mcp-attacks/msb` and `mcp-attacks/mcpsecbench`: the tools of
 * both benchmarks' attack servers, as JSON lists of `{file, name, params, description}`.
 */
export const definitions: Part = {
  heading: 'Definition integrity (S2a)',
  async run({ data, runs, seed = '0' }) {
    const directory = resolve(process.env.INIT_CWD ?? process.cwd(), data ?? '');
    const published = data === undefined ? undefined : readPublished(directory);
    if (!published)
      throw new Error(
        `Published attack tools are not at ${directory}/mcp-attacks. Name the directory above with --data; it holds msb/attack_tools.extracted.json and mcpsecbench/tools.extracted.json, lists of {file, name, params, description} taken from the attack servers of the benchmarks MSB and MCPSecBench.`,
      );
    const house = await startHouse();
    try {
      const wrong = (await restored(house)).map((each) => `before anything changed: ${each}`);
      const all = casesOf(house);
      const cases = sampled(all, Number(runs ?? all.length), Number(seed));
      const attacks = sampled(published, Math.ceil((published.length * cases.length) / all.length), Number(seed));
      const verdicts: Verdict[] = [];
      for (const each of cases) {
        verdicts.push(await mutate(house, each));
        progress('changes', verdicts.length, cases.length);
      }
      wrong.push(...(await restored(house)));
      const poisoned: PublishedVerdict[] = [];
      for (const [at, each] of attacks.entries()) {
        poisoned.push(...(await poison(house, each, at)));
        progress('published definitions', at + 1, attacks.length);
      }
      wrong.push(...(await restored(house)));
      const calls = await malform(house);
      const named = await nameThemAll(house, published);
      const changed = verdicts.filter(({ meaning }) => meaning === 'changed');
      const same = verdicts.filter(({ meaning }) => meaning === 'same');
      const tools = [...house.real.values()].reduce((sum, { served }) => sum + served.tools.length, 0);
      const servers = [...house.real].map(([name, { served }]) => `${name} (${served.tools.length})`).join(', ');
      return {
        versions: `${tools} tools of ${house.real.size} real servers, ${cases.length} of ${all.length} changes and ${attacks.length} of ${published.length} published definitions${runs === undefined ? '' : `, --runs ${runs} --seed ${seed}`}`,
        text: [
          `Servers: ${servers}; what each serves was read from it, approved as it is (at first sight ${house.notTaken.length} of it was held), and is then served by a stand-in that notes every call. "Held": something waits for a person, or is gone. "Seen": an agent was shown an entry that nobody approved. "Ran": what waits was called, and answered or reached the server. "Disturbed": something that did not change waits as well, or another tool of the server could not be called, or a call reached more than that tool.`,
          table(heads('change', 'cases'), rowsOf(changed)),
          'Said again as it was before, where holding is a false alarm (of a list in a schema the gate does not know that its order means nothing):',
          table(
            ['same', 'cases', 'held', 'disturbed'],
            grouped(same).map(([name, own]) => [name, own.length, count(own, 'held'), count(own, 'disturbed')]),
          ),
          'Published attack definitions, each slipped into an approved server as one more tool, and in the place of one of its tools:',
          table(heads('as its authors file it', 'cases'), [
            ...[...Map.groupBy(poisoned, ({ corpus, kind }) => `${corpus}: ${kind}`)].map(([name, own]) =>
              row(name, own),
            ),
            row('all', poisoned),
          ]),
          `If an operator names all ${named.tools} of them in a manifest, they are approved by that (${named.held} wait even so); an agent whose template is for other servers sees ${named.seen} of them, and of ${named.calls} calls of other servers’ tools ${named.misled} reached one.`,
          'Calls that do not fit what was approved:',
          table(
            ['call', 'calls', 'refused', 'reached a server'],
            calls.map(({ name, calls: made, refused, reached }) => [name, made, refused, reached]),
          ),
        ].join('\n\n'),
        failing: [
          ...wrong,
          ...[...changed, ...poisoned].filter(({ held, leaked, ran }) => !held || leaked || ran).map(told),
          ...verdicts.filter(({ disturbed }) => disturbed).map(told),
          ...same
            .filter(({ held, kind, name }) => held && `${kind}, ${name}` !== 'reorder, what is required')
            .map(told),
          ...calls
            .filter(({ calls: made, refused, reached }) => refused < made || reached > 0)
            .map(({ name }) => `malformed call: ${name}`),
          ...(named.misled > 0 || named.seen > 0
            ? ['a hostile server was seen, or had calls that were meant for another']
            : []),
        ],
        rows: { verdicts, poisoned, calls, named },
      };
    } finally {
      await house.close();
    }
  },
};

/** So many of them, evenly spread. */
const sampled = <Each>(all: readonly Each[], count: number, seed: number): Each[] => {
  const step = Math.max(1, all.length / count);
  return Array.from(
    { length: Math.min(count, all.length) },
    (_, at) => all[(Math.floor(at * step) + seed) % all.length],
  ) as Each[];
};

const told = ({ kind, name, what, ...rest }: Verdict) => `${what}, ${kind}, ${name}: ${JSON.stringify(rest)}`;
const grouped = (verdicts: Verdict[]) => [...Map.groupBy(verdicts, ({ kind, name }) => `${kind}: ${name}`)];
const heads = (what: string, cases: string) => [what, cases, 'held', 'seen', 'ran', 'disturbed'];
const count = (verdicts: Verdict[], of: 'held' | 'leaked' | 'ran' | 'disturbed') =>
  verdicts.filter((each) => each[of]).length;
const row = (name: string, own: Verdict[]) => [
  name,
  own.length,
  ...(['held', 'leaked', 'ran', 'disturbed'] as const).map((of) => count(own, of)),
];
const rowsOf = (verdicts: Verdict[]) => [
  ...grouped(verdicts).map(([name, own]) => row(name, own)),
  row('all', verdicts),
];

function progress(what: string, done: number, of: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${done} of ${of}${done === of ? '\n' : ''}`);
}
