import { join } from 'node:path';
import { run } from 'node:test';
import { table } from '../bench/measure.ts';
import type { Part } from './part.ts';

/**
 * OpenID AuthZEN against a running server: the cases of the certification scenario of the Authorization API 1.0, and what is ours on top of it (the
 * MCP binding, access requests, searches, discovery, outcomes; two replicas on PostgreSQL). They are tests of this repository, and run here by themselves.
 */
const files = {
  'certification scenario': 'authzen-certification.test.ts',
  'MCP binding, access requests, search, discovery, limits, who asks': 'authzen.test.ts',
  'two replicas on PostgreSQL': 'authzen-replicas.test.ts',
};

export const authzen: Part = {
  heading: 'AuthZEN (C5)',
  async run() {
    const rows: { what: string; name: string; verdict: 'passed' | 'failed' | 'skipped' }[] = [];
    for (const [what, file] of Object.entries(files)) {
      const events = run({ files: [join(import.meta.dirname, '..', 'test', file)], concurrency: false });
      for await (const { type, data } of events) {
        if (type !== 'test:pass' && type !== 'test:fail') continue;
        // Suites and the file itself are no cases.
        if (data.details.type === 'suite' || data.name.endsWith('.test.ts')) continue;
        const skipped = 'skip' in data && data.skip !== undefined;
        rows.push({ what, name: data.name, verdict: type === 'test:fail' ? 'failed' : skipped ? 'skipped' : 'passed' });
      }
    }
    if (rows.length === 0) throw new Error('No case ran.');
    return {
      versions: 'Authorization API 1.0',
      text: table(
        ['', 'case', 'verdict'],
        rows.map(({ what, name, verdict }) => [what, name, verdict]),
      ),
      failing: rows.filter(({ verdict }) => verdict !== 'passed').map(({ name, verdict }) => `${name}: ${verdict}`),
      rows,
    };
  },
};
