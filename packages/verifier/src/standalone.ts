/**
 * The verifier in one file, for whoever does not have Gatehouse: `node gatehouse-verify.mjs --key VKEY receipt.json`, and in any program or
 * page `import { verifyReceipt, verifyPublished } from './gatehouse-verify.mjs'`. No dependency, no network but what it is told to read.
 */

import type { TileSource } from './confirmed.ts';
import { absentLog, logsNamedIn, type NamedLog } from './named-logs.ts';
import { directoryBy, sha256By } from './native.ts';
import { parseVerifierKey } from './note.ts';
import { type Policy, parsePolicy, quorumOf } from './policy.ts';
import { type PublishedReport, verifyPublished } from './published.ts';
import { parseReceiptFile, verifyReceiptFile } from './receipt-file.ts';
import { type Removal, removalsInWords, verifyTogether } from './removals.ts';
import { countSecondYeses, createSecondYesReader, type SecondYesReader, secondYesLines } from './second-yes.ts';
import { fetchSource } from './sources.ts';

export * from './index.ts';

const HELP = `node gatehouse-verify.mjs --key VKEY [OPTION …] RECEIPT.json | DIRECTORY | URL …

Checks receipts, and logs that are published as tiles (c2sp.org/tlog-tiles). VKEY is the log's public key (NAME+HASH+KEY), got from
elsewhere than the log. It ends with 0 when everything is as it was signed, with 1 when something is not.

--key VKEY            of a log; several for several
--checkpoint FILE     one that was kept elsewhere: the log must still hold what it commits to
--witness VKEY        count this witness's cosignatures, and need --quorum of them (1)
--policy FILE         whose cosignatures are needed, as c2sp.org/tlog-policy has it
--from N, --to N      only these records
`;

type Given = { places: string[]; values: Map<string, string[]> };

function read(args: readonly string[]): Given {
  const given: Given = { places: [], values: new Map() };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string;
    if (!arg.startsWith('--')) given.places.push(arg);
    else given.values.set(arg, [...(given.values.get(arg) ?? []), args[++at] ?? '']);
  }
  const known = ['--key', '--checkpoint', '--witness', '--quorum', '--policy', '--from', '--to'];
  const unknown = [...given.values.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined || given.places.length === 0) throw new UsageError();
  // It would count for nothing, and look as if it did.
  const [quorum, witness, policy] = ['--quorum', '--witness', '--policy'].map((name) => given.values.has(name));
  if ((quorum && !witness) || (policy && witness)) throw new UsageError();
  return given;
}

/** Exactly a number of records; anything else would prove nothing and say that it had. */
function numberOf(values: Given['values'], name: string): number | undefined {
  const text = values.get(name)?.at(-1);
  if (text === undefined) return undefined;
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw new UsageError();
  return Number(text);
}

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  const [{ hash }, { readFile, stat }] = await Promise.all([import('node:crypto'), import('node:fs/promises')]);
  const nodeSha256 = sha256By(hash);
  const { places, values } = read(args);
  const keys = values.get('--key') ?? [];
  const [from, to] = [numberOf(values, '--from'), numberOf(values, '--to')];
  const policy = await policyOf(values, (file) => readFile(file, 'utf8'));
  const checkpoints = await Promise.all((values.get('--checkpoint') ?? []).map((file) => readFile(file, 'utf8')));
  const say = (ok: boolean, text: string) =>
    process.stdout.write(`${ok ? 'Proven    ' : 'NOT PROVEN'}  ${clean(text)}\n`);
  let ok = true;
  const named: NamedLog[] = [];
  const here: NamedLog[] = [];
  const yeses = new Map<string, SecondYesReader>();
  const logs: { origin: string; vkey: string; verify: (removals: readonly Removal[]) => Promise<PublishedReport> }[] =
    [];
  for (const place of places) {
    const isAddress = /^https?:\/\//.test(place);
    if (!isAddress && (await stat(place)).isFile()) {
      if (keys.length === 0)
        process.stderr.write('Checked with the key that the receipt brings itself: give yours with --key.\n');
      const file = parseReceiptFile(await readFile(place, 'utf8'));
      for (const each of await verifyReceiptFile(file, { keys, sha256: nodeSha256, ...(policy && { policy }) })) {
        say(each.ok, `${each.what}: ${each.detail}`);
        ok &&= each.ok;
      }
      continue;
    }
    const source: TileSource = isAddress ? fetchSource(place) : directoryBy(readFile, place);
    const note = new TextDecoder().decode((await source('checkpoint')) ?? new Uint8Array());
    const origin = note.split('\n', 1)[0] ?? '';
    const vkey = keys.find((key) => key.startsWith(`${origin}+`));
    if (vkey === undefined) throw new Error(`give the key of the log "${origin}" with --key`);
    const verify = (removals: readonly Removal[]) => {
      // It may be read again for what another says was removed.
      yeses.set(origin, createSecondYesReader());
      return verifyPublished({
        ...{ source, vkey, removals, sha256: nodeSha256 },
        checkpoints: checkpoints.filter((each) => each.startsWith(`${origin}\n`)),
        ...(policy && { policy }),
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
        onEntry(entry) {
          named.push(...logsNamedIn(entry));
          yeses.get(origin)?.note(entry);
        },
      });
    };
    logs.push({ origin, vkey, verify });
  }
  for (const [at, report] of (await verifyTogether(logs.map(({ verify }) => verify))).entries()) {
    const { origin, vkey } = logs[at] as (typeof logs)[number];
    here.push({ id: origin, vkey, size: report.ok ? report.size : 0 });
    if (report.ok) {
      const by = report.witnessedBy.map((name) => `, cosigned by ${name}`).join('');
      say(true, `${report.verified} of ${report.size} records of ${origin}${by}`);
      for (const line of removalsInWords(origin, report)) process.stdout.write(`Removed     ${clean(line)}\n`);
    } else {
      const { kind, detail, from: first, to: end } = report.fault;
      const where = first === undefined ? '' : ` [records ${first} to ${(end ?? first + 1) - 1}]`;
      say(false, `${origin}: ${kind}: ${detail}${where}`);
    }
    ok &&= report.ok;
  }
  if (ok && yeses.size > 0) {
    const isWhole = yeses.size > 1 && from === undefined && to === undefined;
    const count = await countSecondYeses([...yeses.values()], { isWhole });
    for (const line of secondYesLines(count)) say(true, line);
    for (const fault of count.faults) say(false, `a second person’s yes: ${fault}`);
    ok = count.faults.length === 0;
  }
  const absent = absentLog({ checkpoints, named: ok ? named : [], here });
  if (absent !== null) say(false, `log-missing: ${absent}`);
  return ok && absent === null ? 0 : 1;
}

async function policyOf(
  values: Given['values'],
  readText: (file: string) => Promise<string>,
): Promise<Policy | undefined> {
  const file = values.get('--policy')?.[0];
  if (file !== undefined) return parsePolicy(await readText(file));
  const witnesses = values.get('--witness');
  const quorum = numberOf(values, '--quorum') ?? 1;
  if (quorum === 0) throw new UsageError();
  return witnesses && quorumOf(quorum, witnesses.map(parseVerifierKey));
}

/** What was logged must not steer a terminal. */
const clean = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');

async function isProgram(): Promise<boolean> {
  if (globalThis.process?.versions?.node === undefined || process.argv[1] === undefined) return false;
  const [{ realpathSync }, { pathToFileURL }] = await Promise.all([import('node:fs'), import('node:url')]);
  try {
    return pathToFileURL(realpathSync(process.argv[1])).href === import.meta.url;
  } catch {
    return false;
  }
}

if (await isProgram())
  process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(error instanceof UsageError ? HELP : `${clean(String((error as Error).message))}\n`);
    return 64;
  });
