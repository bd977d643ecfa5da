import { readFileSync } from 'node:fs';
import { table } from '../bench/measure.ts';
import { encode } from '../packages/server/src/ledger/export/formats/index.ts';
import { ocsfClasses, ocsfRules } from '../packages/server/src/ledger/export/formats/ocsf-classes.ts';
import { ocsfProblems } from '../packages/server/src/ledger/export/testing/ocsf-schema.ts';
import { outgoing } from '../packages/server/src/ledger/export/testing/records.ts';
import { factsFile, factsOf } from './ocsf/facts.ts';
import type { Part } from './part.ts';

/**
 * Our events against the published schema of OCSF: `--data DIR` is a checkout of github.com/ocsf/ocsf-schema. The facts that tests use are those of
 * the checkout, and one record of each operation that a rule names is an event of its class.
 */
export const ocsf: Part = {
  heading: 'OCSF (C5)',
  async run({ data }) {
    if (data === undefined) throw new Error('Give a checkout of github.com/ocsf/ocsf-schema with --data DIR.');
    const { version } = factsOf(data) as { version: string };
    const failing: string[] = [];
    if (JSON.stringify(JSON.parse(readFileSync(factsFile, 'utf8'))) !== JSON.stringify(factsOf(data)))
      failing.push(
        'conformance/ocsf/facts.json is of another version: run `node conformance/ocsf/facts.ts DIR` and look at what changed',
      );
    const calls = [
      'tools/call',
      'resources/read',
      'prompts/get',
      'completion/complete',
      'sampling/createMessage',
      'elicitation/create',
    ];
    const records = [
      ...calls.flatMap((operation) =>
        (['request', 'dispatch', 'outcome'] as const).map((kind) => ({ kind, operation })),
      ),
      ...ocsfRules.flatMap(({ operations }) =>
        operations.map((each) => ({ kind: 'change' as const, operation: each.replace(/\.$/, '.any') })),
      ),
      { kind: 'change' as const, operation: 'manifest.apply' },
      { kind: 'outcome' as const, operation: 'tools/call', result: 'anomalous' as const },
    ];
    const counts = new Map<number, number>();
    for (const record of records) {
      const { json } = encode('ocsf', outgoing(record), { version: '0' });
      for (const problem of ocsfProblems(json ?? {})) failing.push(`${record.kind} ${record.operation}: ${problem}`);
      const uid = json?.class_uid as number;
      counts.set(uid, (counts.get(uid) ?? 0) + 1);
    }
    const rows = Object.values(ocsfClasses).map(({ uid, name }) => ({
      class: `${name} (${uid})`,
      kinds: counts.get(uid) ?? 0,
    }));
    return {
      versions: `OCSF ${version}`,
      text: table(
        ['class', 'kinds of records'],
        rows.map((row) => [row.class, String(row.kinds)]),
      ),
      failing,
      rows,
    };
  },
};
