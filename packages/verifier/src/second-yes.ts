/**
 * A second person's yes to what somebody else had asked for: a credential given up, the end of a hold, an erasure, a class of records kept for less
 * than the minimum. It stands whole in the record of what was done, so that whoever has the log needs nobody else: what was agreed to, and what the
 * passkey signed, which is exactly that. What this can't show: that the person read what they signed.
 */

import { VerifierError } from './merkle.ts';
import { Broken, canonicalJson, digestOf, requireSigned, type SignedByPasskey } from './passkey.ts';
import { sha256 } from './sha256.ts';

const LINE = 'second yes ';
const OPERATOR = 'operator';
/** What it is recorded as. Where the host's token has asked, whoever agrees first takes the question up, and somebody else agrees to theirs. */
const TAKEN_UP: Record<string, string> = {
  'lease.drop': 'lease.take-up-drop',
  'hold.end': 'hold.take-up',
  'erasure.agree': 'erasure.take-up',
  'retention.agree': 'retention.agree',
};
const DONE = new Set(Object.keys(TAKEN_UP));
const RECORDED_AS = new Set([...DONE, ...Object.values(TAKEN_UP)]);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export type SecondYesSaid = {
  /** What was done, and to what. */
  act: string;
  id: string;
  person: string;
  askedBy: string;
  passkey: string;
  time: string;
  /** Digest of the key, as the record of its enrolment has it. */
  key: string;
};
export type SecondYesReport = { ok: true; said: SecondYesSaid } | { ok: false; what: string; detail: string };

type Evidence = {
  v: 1;
  statement: { act: string; id: string; askedBy: string };
  nonce: string;
  person: string;
} & SignedByPasskey;

type Logged = { kind: string; operation: string; time: string; changes: string[]; actor_chain: { sub: string }[] };

/** Of this record, if it is of something that takes two; null for any other, and for one of before passkeys signed them. */
export async function secondYesIn(entry: Uint8Array): Promise<SecondYesReport | null> {
  const record = recordOf(entry);
  // In lines of any other record people write what they like.
  if (!record || !RECORDED_AS.has(record.operation)) return null;
  const line = record.changes.find((each) => each.startsWith(`${LINE}{`));
  if (line === undefined) return null;
  const what = `${record.operation} at ${record.time}`;
  try {
    return { ok: true, said: await verified(record, line.slice(LINE.length)) };
  } catch (error) {
    if (error instanceof Broken || error instanceof VerifierError) return { ok: false, what, detail: error.message };
    if (error instanceof TypeError || error instanceof SyntaxError)
      return { ok: false, what, detail: `it can’t be read: ${error.message}` };
    throw error;
  }
}

async function verified(record: Logged, text: string): Promise<SecondYesSaid> {
  const evidence = JSON.parse(text) as Evidence;
  if (canonicalJson(evidence) !== text) throw new Broken('format', 'the yes is not in its canonical form');
  const { statement, nonce, person, passkey, publicKey } = evidence;
  const { act, id, askedBy } = statement;
  if (!DONE.has(act) || record.operation !== (askedBy === OPERATOR ? TAKEN_UP[act] : act))
    throw new Broken('record', 'the yes is to something else');
  if (record.actor_chain[0]?.sub !== `person:${person}`) throw new Broken('record', 'the yes is of another person');
  if (askedBy === `person:${person}`) throw new Broken('record', 'whoever asked has agreed');
  // Beside it the record says in words to what it was said; what people have written in the yes itself says nothing of that.
  if (!record.changes.some((line) => !line.startsWith(LINE) && line.split(/[\s:,]+/).includes(id)))
    throw new Broken('subject', 'the record is about something else');
  await requireSigned(evidence, sha256(encoder.encode(canonicalJson({ v: 1, secondYes: statement, nonce }))));
  return { act, id, person, askedBy, passkey, time: record.time, key: digestOf(publicKey) };
}

/** Whose keys a record says these are: that of an enrolment, or of what was noted of those before. */
export function enrolmentsIn(entry: Uint8Array): { person: string; key: string }[] {
  const record = recordOf(entry);
  if (record?.operation === 'passkey.enrol') {
    const person = record.actor_chain[0]?.sub.replace(/^person:/, '') ?? '';
    return record.changes.flatMap((line) => (line.startsWith('key ') ? [{ person, key: line.slice(4) }] : []));
  }
  if (record?.operation !== 'passkey.keys') return [];
  return record.changes.flatMap((line) => {
    const [, key, person] = /^key (\S+) of (\S+) noted$/.exec(line) ?? [];
    return key === undefined || person === undefined ? [] : [{ person, key }];
  });
}

/** `proven`: by a key that a record gives its person; `elsewhere`: no such record was read; `unsigned`: of before the first in its log that one signed. */
export type SecondYesCount = { proven: number; elsewhere: number; unsigned: number; faults: string[] };

export type SecondYesReader = ReturnType<typeof createSecondYesReader>;

/** For whoever reads a whole log: every record of it is shown to `note` once, in their order. */
export function createSecondYesReader() {
  const said: { what: string; report: Promise<SecondYesReport | null> }[] = [];
  const enrolled: string[] = [];
  const of = { said, enrolled };
  return {
    of,
    note(entry: Uint8Array): void {
      const text = decoder.decode(entry);
      // Most records are neither, and parsing all takes longer than all else.
      const operation = OPERATION.exec(text)?.[1] ?? '';
      if (RECORDED_AS.has(operation)) {
        const record = recordOf(entry);
        if (!record || !RECORDED_AS.has(record.operation)) return;
        said.push({ what: `${record.operation} at ${record.time}`, report: secondYesIn(entry) });
      } else if (operation.startsWith('passkey.'))
        for (const { person, key } of enrolmentsIn(entry)) enrolled.push(`${person} ${key}`);
    },
  };
}

/** `isWhole`: all logs were read from end to end, so that an enrolment that is not there is nowhere. */
export async function countSecondYeses(
  readers: readonly SecondYesReader[],
  { isWhole }: { isWhole: boolean },
): Promise<SecondYesCount> {
  const enrolled = new Set(readers.flatMap(({ of }) => of.enrolled));
  const count: SecondYesCount = { proven: 0, elsewhere: 0, unsigned: 0, faults: [] };
  for (const { of } of readers) {
    let isSigned = false;
    for (const { what, report: reported } of of.said) {
      const report = await reported;
      if (report === null && isSigned)
        count.faults.push(`${what}: no passkey has signed it, and one had in this log before`);
      else if (report === null) count.unsigned += 1;
      else if (!report.ok) count.faults.push(`${report.what}: ${report.detail}`);
      else if (enrolled.has(`${report.said.person} ${report.said.key}`)) count.proven += 1;
      else if (!isWhole) count.elsewhere += 1;
      else count.faults.push(`${report.said.act} at ${report.said.time}: ${notEnrolled(report.said)}`);
      isSigned ||= report !== null;
    }
  }
  return count;
}

/** What was found that is as it should be, in words. */
export function secondYesLines({ proven, elsewhere, unsigned }: SecondYesCount): string[] {
  const times = (number: number) => `${number} ${number === 1 ? 'time' : 'times'}`;
  return [
    ...(proven > 0
      ? [`${times(proven)} a second person agreed: each yes is signed by a passkey that the log gives that person`]
      : []),
    ...(elsewhere > 0
      ? [`${times(elsewhere)} a second person’s passkey signed; whose it is stands in what was not read`]
      : []),
    ...(unsigned > 0 ? [`${times(unsigned)} two people did something before their passkeys signed it`] : []),
  ];
}

export const notEnrolled = ({ person }: Pick<SecondYesSaid, 'person'>) =>
  `no record says that the passkey is ${person}’s`;

const OPERATION = /"operation":"((?:lease|hold|erasure|retention|passkey)\.[a-z-]+)"/;

function recordOf(entry: Uint8Array): Logged | null {
  try {
    const record = JSON.parse(decoder.decode(entry)) as Logged | null;
    const isChange = record?.kind === 'change' && Array.isArray(record.changes) && Array.isArray(record.actor_chain);
    return isChange ? record : null;
  } catch {
    // What was garbled is told by the proof.
    return null;
  }
}
