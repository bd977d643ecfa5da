import type { Command } from 'commander';
import { addGroup, addVerb, option } from '../verb.ts';

export function addEvidenceVerbs(program: Command): void {
  const evidence = addGroup(program, 'evidence', 'what the workspace’s own data shows an auditor');
  addVerb(evidence, {
    usage: 'make',
    summary: 'make a report: one row for each control, with what was asked and what came of it',
    details:
      'Writes evidence.json, evidence.html, evidence.pdf and receipts into a directory. The report is in the log (record evidence.export), so that it can be verified offline. Exit code 1 when a control is not met.',
    isDefault: true,
    options: [
      option('--for <framework>', 'whose controls')
        .choices(['questions', 'soc2', 'iso27001', 'hipaa', 'eu-ai-act', 'owasp-asi'])
        .default('questions'),
      option(
        '--from <time>',
        'begin of the period (2026-01-01 or 2026-01-01T00:00:00Z; default: 90 days before its end)',
      ),
      option('--to <time>', 'its end, which is not in it (default: now)'),
      option(
        '-o, --output <directory>',
        'where to; nothing there is overwritten (default: no files, only what is printed)',
      ),
    ],
    server: true,
    examples: [
      ['evidence', 'The five questions of a security review, answered.'],
      [
        'evidence --for soc2 --from 2026-01-01 --to 2026-12-31 -o soc2-2026',
        'A year, as HTML, PDF and JSON with receipts.',
      ],
    ],
    load: async () => (await import('../commands/evidence.ts')).make,
  });
  addVerb(evidence, {
    usage: 'verify <directory>',
    summary: 'check a report and its receipts, offline',
    options: [
      option(
        '--key <key...>',
        'the public keys of the logs (NAME+HASH+KEY), or files with them, from elsewhere than the report',
      ),
    ],
    examples: [['evidence verify soc2-2026 --key log.vkey', 'Exit code 1 when anything of it was changed since.']],
    load: async () => (await import('../commands/evidence-verify.ts')).verify,
  });
}
