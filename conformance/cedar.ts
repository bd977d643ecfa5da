import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getCedarVersion } from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';
import { table } from '../bench/measure.ts';
import { entitiesJson, policyText, requestJson } from '../packages/server/src/policy/cedar/testing/arbitrary.ts';
import { verdicts } from '../packages/server/src/policy/cedar/testing/compare.ts';
import { type CorpusResult, runCorpus } from '../packages/server/src/policy/cedar/testing/corpus.ts';
import type { Part } from './part.ts';

/**
 * The compiled engine against Cedar's published integration tests (C5), and against the official engine on policies and requests that
 * are made up: `--data DIR` holds `cedar` (a clone of cedar-policy/cedar-integration-tests), `--runs N` sets of one to five policies are
 * made with `--seed N`, each asked eight requests.
 */
export const cedar: Part = {
  heading: 'Cedar (C5)',
  async run({ data, runs = '20000', seed = String(Date.now() % 1_000_000) }) {
    const directory = resolve(process.env.INIT_CWD ?? process.cwd(), data ?? '', 'cedar');
    if (data === undefined || !existsSync(join(directory, 'corpus-tests.tar.gz')))
      throw new Error(
        `Cedar's published tests are not at ${directory}. Clone https://github.com/cedar-policy/cedar-integration-tests as cedar, and name the directory above it with --data.`,
      );
    const corpus = runCorpus(directory, { progress: (done, of) => progress('published files', done, of) });
    const made = compareMade(Number(runs), Number(seed));
    return {
      versions: `Cedar ${getCedarVersion()}, seed ${seed}`,
      text: table(
        ['what', 'policy sets', 'requests', 'another decision, reason or error'],
        [
          ['published integration tests', corpus.files, corpus.requests, corpus.differences.length],
          ['made-up policies, whole set', made.sets, made.requests, made.whole.length],
          ['made-up policies, slice of the set', made.sets, made.requests, made.sliced.length],
        ],
      ),
      failing: [...corpus.differences.map(describe), ...made.whole, ...made.sliced].slice(0, 20),
      rows: { corpus: { ...corpus, differences: corpus.differences.length }, made },
    };
  },
};

const cases = fc.tuple(
  fc.array(policyText, { minLength: 1, maxLength: 5 }),
  entitiesJson,
  fc.array(requestJson, { minLength: 8, maxLength: 8 }),
);

function compareMade(runs: number, seed: number) {
  const found = { sets: 0, requests: 0, whole: [] as string[], sliced: [] as string[] };
  const batch = 500;
  for (let from = 0; from < runs; from += batch) {
    const made = fc.sample(cases, { numRuns: Math.min(batch, runs - from), seed: seed + from });
    for (const [policies, entities, requests] of made) {
      for (const [at, { compiled, sliced, official }] of verdicts(policies, entities, requests).entries()) {
        const wanted = JSON.stringify(official);
        const asked = () => `${policies.join('\n')} asked ${JSON.stringify(requests[at])}: ${wanted}`;
        if (JSON.stringify(compiled) !== wanted) found.whole.push(`${asked()}, not ${JSON.stringify(compiled)}`);
        if (JSON.stringify(sliced) !== wanted) found.sliced.push(`${asked()}, not ${JSON.stringify(sliced)}`);
        found.requests++;
      }
      found.sets++;
    }
    progress('made-up sets', found.sets, runs);
  }
  return found;
}

function describe({ file, request, published, compiled }: CorpusResult['differences'][number]): string {
  return `${file}, "${request}": ${JSON.stringify(published)} is published, and ${JSON.stringify(compiled)} decided`;
}

function progress(what: string, done: number, of: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${done} of ${of}${done === of ? '\n' : ''}`);
}
