import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Evidence, EvidenceFramework, EvidenceReport, EvidenceStatus } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  for: EvidenceFramework;
  from?: string;
  to?: string;
  output?: string;
}

const DEFAULT_PERIOD_MS = 90 * 86_400_000;

export const make: Run<Options> = async ({ options, out }) => {
  const to = timeOf(options.to, '--to') ?? Date.now();
  const from = timeOf(options.from, '--from') ?? to - DEFAULT_PERIOD_MS;
  const directory = options.output === undefined ? undefined : resolve(options.output);
  // Before anything is asked: a report that is made is on record.
  if (directory !== undefined) await mkdir(directory, { recursive: true });
  const body = { framework: options.for, from: String(from), to: String(to) };
  const evidence = await operatorOf(options).call('POST /evidence', { body });
  if (directory !== undefined) await writeFiles(directory, evidence);
  const { report, digest, receipt } = evidence;
  if (out.json) out.printJson({ report, digest, receipt, directory: directory ?? null });
  else print(report, digest, directory, out);
  return report.controls.some(({ status }) => status === 'not-met') ? exitCodes.failed : exitCodes.ok;
};

function timeOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(at)) return at;
  throw new CliFailure(
    'usage',
    'option.invalid',
    `${name} must be a day (2026-01-31) or an RFC 3339 time, not "${text}".`,
  );
}

async function writeFiles(
  directory: string,
  { report, digest, receipt, receipts, html, pdf }: Evidence,
): Promise<void> {
  const files: [string, string | Buffer][] = [
    ['evidence.json', `${JSON.stringify(report, null, 2)}\n`],
    ['evidence.html', html],
    ['evidence.pdf', Buffer.from(pdf, 'base64')],
    [
      'receipts.json',
      `${JSON.stringify({ format: 'gatehouse-evidence-receipts/1', digest, receipt, receipts }, null, 2)}\n`,
    ],
  ];
  for (const [name, content] of files) {
    const target = join(directory, name);
    await writeFile(target, content, { flag: 'wx' }).catch((cause: unknown) => {
      const { code } = cause as NodeJS.ErrnoException;
      const why = code === 'EEXIST' ? 'is there already; give another directory' : `cannot be written (${code})`;
      throw new CliFailure('failed', 'evidence.file', `${target} ${why}.`, { cause });
    });
  }
}

const colours = { met: 'green', 'not-met': 'red', 'no-data': 'dim', 'not-covered': 'yellow' } as const;
const words: Record<EvidenceStatus, string> = {
  met: 'met',
  'not-met': 'not met',
  'no-data': 'nothing happened',
  'not-covered': 'not covered',
};

function print(report: EvidenceReport, digest: string, directory: string | undefined, out: Output): void {
  const findings = new Map(report.checks.map(({ id, finding, status }) => [id, { finding, status }]));
  out.print(`${report.framework.title}, ${report.from.slice(0, 10)} to ${report.to.slice(0, 10)}\n`);
  for (const { id, title, status, checks, remark } of report.controls) {
    out.print(`${out.style(colours[status], words[status].padEnd(16))} ${clean(id)}  ${clean(title)}`);
    for (const check of checks) {
      const found = findings.get(check);
      if (found) out.print(`${' '.repeat(17)}${found.status === 'not-met' ? '✗' : '·'} ${clean(found.finding)}`);
    }
    if (remark !== null) out.print(`${' '.repeat(17)}${clean(remark)}`);
  }
  out.print(`\nOn record with its digest, ${clean(digest)}.`);
  if (directory !== undefined)
    out.print(`Written to ${directory}. Check it anywhere: gatehouse evidence verify ${directory} --key KEY`);
}
