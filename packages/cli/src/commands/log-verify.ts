import { existsSync, readFileSync, statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Fault, NamedLog, Policy, PublishedReport, Removal, SecondYesReader } from '@gatehouse/verifier';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';
import { type LogToRead, logsOfPlace, logsOfServer } from './log-places.ts';
import { verifyReceipts } from './log-verify-receipts.ts';

interface Options extends ServerOptions {
  receipt?: string[];
  key?: string[];
  log?: string;
  from?: string;
  to?: string;
  checkpoint?: string[];
  witness?: string[];
  quorum: string;
  policy?: string;
}

interface Verified {
  log: string;
  ok: boolean;
  size: number;
  verified: number;
  witnessedBy: string[];
  fault: Fault | null;
  /** Records whose content retention has removed, and what says so. */
  removed: number;
  removals: Removal[];
}

export const verify: Run<Options> = async ({ args: [place], options, out }) => {
  const policy = await policyOf(options);
  const keys = [...(options.key ?? []).flatMap(keysIn), ...(await keysOfPolicy(policy))];
  if (options.receipt !== undefined) return verifyReceipts({ files: options.receipt, keys, policy, out });
  if (place !== undefined && statSync(place, { throwIfNoEntry: false })?.isFile())
    return (await import('./log-verify-export.ts')).verifyExport({ file: place, keys, policy, out });
  const logs = place === undefined ? await logsOfServer(operatorOf(options)) : await logsOfPlace(place);
  const kept = Map.groupBy((options.checkpoint ?? []).map(readText), (note) => note.split('\n', 1)[0] ?? '');
  const wanted = logs.filter(({ id }) => options.log === undefined || id === options.log);
  if (options.log !== undefined && wanted.length === 0)
    throw new CliFailure('noInput', 'log.unknown', `There is no log "${options.log}" there.`);

  const results: Verified[] = [];
  const named: NamedLog[] = [];
  const here: NamedLog[] = [];
  // Whoever kept a checkpoint of a log knows that there was one, and a log never goes.
  for (const id of kept.keys())
    if (!logs.some((log) => log.id === id))
      results.push(missing(id, `there is no log "${id}", and a checkpoint of it was kept`));
  const { countSecondYeses, createSecondYesReader, verifyTogether } = await import('@gatehouse/verifier');
  /** Of each log as it was read last: it may be read again for what another says was removed. */
  const yeses = new Map<string, SecondYesReader>();
  const read = async (these: readonly LogToRead[]) => {
    const asked = { options, policy, out };
    const verifying = these.map((log) => {
      const vkey = keyFor(log, keys, place);
      return (removals: readonly Removal[]) => {
        const yes = createSecondYesReader();
        yeses.set(log.id, yes);
        const names = (each: NamedLog[]) => named.push(...each);
        return readOne(log, vkey, { ...asked, kept: kept.get(log.id) ?? [], removals, names, yes });
      };
    });
    return new Map((await verifyTogether(verifying)).map((report, at) => [(these[at] as LogToRead).id, report]));
  };
  let reports = await read(wanted);
  // What was removed from it, another log may say.
  const isErased = (report: PublishedReport) => !report.ok && report.fault.kind === 'erased';
  if (wanted.length < logs.length && [...reports.values()].some(isErased)) reports = await read(logs);
  for (const log of wanted) {
    const result = resultOf(log.id, reports.get(log.id) as PublishedReport);
    results.push(result);
    here.push({ id: log.id, vkey: keyFor(log, keys, place), size: result.size });
  }
  if (options.log === undefined && results.every(({ ok }) => ok)) {
    const { missingLog } = await import('@gatehouse/verifier');
    // One log alone that is published says nothing of where the others are.
    const absent = place === undefined || here.length > 1 ? missingLog(named, here) : null;
    if (absent !== null) results.push(missing('', absent));
  }
  const isWhole = options.log === undefined && options.from === undefined && options.to === undefined;
  // Of what is not as it was signed nobody has said anything.
  const secondYes = results.every((each) => each.ok)
    ? await countSecondYeses([...yeses.values()], { isWhole: isWhole && (place === undefined || logs.length > 1) })
    : null;
  const ok = secondYes?.faults.length === 0;
  if (out.json) out.printJson({ ok, logs: results, secondYes });
  else {
    const { removalsInWords, secondYesLines } = await import('@gatehouse/verifier');
    for (const each of results) {
      print(each, out);
      for (const line of removalsInWords(each.log, each)) out.print(`  ${out.style('dim', clean(line))}`);
    }
    for (const fault of secondYes?.faults ?? [])
      out.print(`${out.style('red', 'Broken')}: a second person’s yes: ${clean(fault)}`);
    for (const line of secondYes ? secondYesLines(secondYes) : []) out.print(`  ${out.style('dim', line)}`);
  }
  if (results.length === 0) out.note('Nothing was ever signed: there is no log.');
  return ok ? exitCodes.ok : exitCodes.failed;
};

interface Asked {
  options: Options;
  policy: Policy | undefined;
  kept: string[];
  out: Output;
  removals: readonly Removal[];
  names(named: NamedLog[]): void;
  yes: SecondYesReader;
}

async function readOne(log: LogToRead, vkey: string, asked: Asked): Promise<PublishedReport> {
  const { options, policy, kept, out, removals, names, yes } = asked;
  const [{ logsNamedIn, verifyPublished }, { nodeSha256 }] = await Promise.all([
    import('@gatehouse/verifier'),
    import('@gatehouse/verifier/node'),
  ]);
  const index = (text: string | undefined, name: string) =>
    text === undefined ? undefined : toNumber(text, name, 0, Number.MAX_SAFE_INTEGER);
  const from = index(options.from, '--from');
  const to = index(options.to, '--to');
  const progress = createProgress(log.id, out);
  const report = await verifyPublished({
    source: log.source,
    vkey,
    origin: log.id,
    sha256: nodeSha256,
    checkpoints: kept,
    removals,
    ...(policy && { policy }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    onEntry(entry) {
      const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength);
      if (!bytes.includes('"kind":"change"')) return;
      if (bytes.includes('"operation":"log.')) names(logsNamedIn(entry));
      yes.note(entry);
    },
    onProgress: progress.show,
  }).catch((cause: unknown) => {
    if (cause instanceof CliFailure || (cause as { code?: unknown }).code !== undefined) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CliFailure('unavailable', 'log.unreachable', `${log.id} cannot be read: ${why}.`, { cause });
  });
  progress.end();
  return report;
}

function resultOf(log: string, report: PublishedReport): Verified {
  if (!report.ok) return { ...missing(log, ''), fault: report.fault };
  const { size, verified, witnessedBy, removed, removals } = report;
  return { log, ok: true, size, verified, witnessedBy, fault: null, removed, removals };
}

const missing = (log: string, detail: string): Verified => ({
  log,
  ok: false,
  size: 0,
  verified: 0,
  witnessedBy: [],
  fault: { kind: 'log-missing', detail },
  removed: 0,
  removals: [],
});

function print({ log, ok, size, verified, witnessedBy, fault }: Verified, out: Output): void {
  const where = fault?.from === undefined ? '' : ` [records ${fault.from} to ${(fault.to ?? fault.from + 1) - 1}]`;
  if (!ok) {
    out.print(
      `${out.style('red', 'Broken')}: ${clean(`${log}${log && ': '}${fault?.kind}: ${fault?.detail}`)}${where}`,
    );
    return;
  }
  const which = verified === size ? `${size} records` : `${verified} of ${size} records`;
  const by = witnessedBy.length > 0 ? `; cosigned by ${witnessedBy.map(clean).join(', ')}` : '';
  out.print(
    `${out.style('green', 'Intact')}: ${which} of ${clean(log)}; the tree recomputed from them is the one that was signed${by}.`,
  );
}

/** On a terminal: how far it is, how fast, and when it will have ended. */
function createProgress(log: string, out: Output) {
  const isShown = process.stderr.isTTY === true && !out.json;
  const begun = performance.now();
  let shownAt = begun;
  return {
    show({ verified, total }: { verified: number; total: number }): void {
      const now = performance.now();
      if (!isShown || now - shownAt < 250) return;
      shownAt = now;
      const rate = verified / ((now - begun) / 1_000);
      const left = Math.ceil((total - verified) / rate);
      process.stderr.write(
        `\r\u001b[K${clean(log)}: ${verified} of ${total} records, ${Math.round(rate)}/s, ${left} s left`,
      );
    },
    end(): void {
      if (isShown && shownAt !== begun) process.stderr.write('\r\u001b[K');
    },
  };
}

async function policyOf({ witness, quorum, policy }: Options): Promise<Policy | undefined> {
  const { parsePolicy, parseVerifierKey, quorumOf, VerifierError } = await import('@gatehouse/verifier');
  try {
    if (policy !== undefined) return parsePolicy(readText(policy));
    if (witness === undefined) return undefined;
    const keys = witness.flatMap(keysIn).map(parseVerifierKey);
    return quorumOf(toNumber(quorum, '--quorum', 1, keys.length), keys);
  } catch (cause) {
    if (cause instanceof VerifierError)
      throw new CliFailure('noInput', 'verify.policy', `${cause.message}.`, { cause });
    throw cause;
  }
}

async function keysOfPolicy(policy: Policy | undefined): Promise<string[]> {
  const { formatVerifierKey } = await import('@gatehouse/verifier');
  return policy?.logs.map(({ key }) => formatVerifierKey(key)) ?? [];
}

function keyFor({ id, vkey }: LogToRead, keys: string[], place: string | undefined): string {
  const given = keys.find((key) => key.startsWith(`${id}+`));
  if (given !== undefined) return given;
  if (vkey !== undefined && keys.length === 0) return vkey;
  throw new CliFailure(
    'usage',
    'verify.key',
    `No key of ${clean(id)} was given with --key${place === undefined ? '' : ', and what is published vouches for nothing itself'}. The server’s operator prints it with gatehouse log list; get it from somewhere else than the log.`,
  );
}

/** A key, or a file with one on each line. */
export function keysIn(given: string): string[] {
  if (!existsSync(given)) return [given];
  return readText(given)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CliFailure('noInput', 'file.unreadable', `${file} cannot be read (${code}).`, { cause });
  }
}
