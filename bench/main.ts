import { parseArgs } from 'node:util';
import { circumstances, type Measure, writeSection } from './measure.ts';

/**
 * `npm run bench -- VERB [--OPTION VALUE …] [--json] [--write]`: measures one thing, or one after the other; without a verb `call size`.
 * All that is compared is measured in one run, in turn, and medians of the rounds are given. `--write` replaces the measure's own
 * section of bench/RESULTS.md.
 */
const measures: Record<string, () => Promise<{ measure: Measure }>> = {
  call: () => import('./call.ts'),
  size: () => import('./size.ts'),
  svid: () => import('./svid.ts'),
  credentials: () => import('./credentials.ts'),
  helpers: () => import('./helpers.ts'),
  token: () => import('./token.ts'),
  verify: () => import('./verify.ts'),
  churn: () => import('./churn.ts'),
  decide: () => import('./decide.ts'),
  replay: () => import('./replay.ts'),
  search: () => import('./search.ts'),
  export: () => import('./export.ts'),
  record: () => import('./record.ts'),
  results: () => import('./results.ts'),
};

const verbs = process.argv
  .slice(2)
  .filter((each, at, all) => Object.hasOwn(measures, each) && !all[at - 1]?.startsWith('--'));
const chosen = await Promise.all(
  (verbs.length > 0 ? verbs : ['call', 'size']).map(async (verb) => ({ verb, ...(await measures[verb]?.()) })),
);
const known = Object.assign({}, ...chosen.map(({ measure }) => measure?.options)) as Record<string, string>;
const flags = Object.keys(known).filter((name) => known[name] === 'false');
const { values } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    ...Object.fromEntries(
      Object.keys(known).map((name) => [name, { type: flags.includes(name) ? 'boolean' : 'string' } as const]),
    ),
    json: { type: 'boolean' },
    write: { type: 'boolean' },
  },
});
const given = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
const said = process.argv.slice(2).filter((each) => each !== '--write' && each !== '--json');
for (const { verb, measure } of chosen) {
  if (!measure) continue;
  const { rows, how, tables } = await measure.run({ ...measure.options, ...given });
  const command = ['npm run bench --', ...(said.includes(verb) ? [] : [verb]), ...said].join(' ');
  const text = `\`${command}\`, ${circumstances()}.\n${how.trim()}\n\n${tables}`;
  if (values.json) console.log(JSON.stringify({ verb, node: process.version, rows }, null, 2));
  else console.log(`## ${measure.heading}\n\n${text}\n`);
  if (values.write) writeSection(measure.heading, text);
}
process.exit(0);
