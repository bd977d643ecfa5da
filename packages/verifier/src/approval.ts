/**
 * Who said yes to an action, and to what exactly: follows a yes from the record of the dispatch to the passkey that signed for it. Each
 * link is checked with nothing but the receipt: the dispatch names the approval; the record of the yes carries the digest of the signed
 * assertion; its challenge is made of the approval and the digest of what was asked; that digest is of the action that was dispatched, with
 * its arguments; and the record of the enrolment says whose the key is. What this can't show: that the person read what they signed.
 */

import { VerifierError } from './merkle.ts';
import { joinBytes, toHex } from './note.ts';
import {
  Broken,
  canonicalJson,
  digestOf,
  fromBase64url,
  requireSigned,
  type SignedByPasskey,
  type YesLink,
} from './passkey.ts';
import { enrolmentsIn } from './second-yes.ts';
import { sha256 } from './sha256.ts';
import { verifyReceipt } from './verify.ts';

/** A record with its proof, as the API gives it. */
export type ProvenRecord = { log: string; entry: string; proof: string; vkey: string };

/** What a passkey signed for a yes, and with which key (WebAuthn Level 3). Binary values in base64url. */
export type YesEvidence = {
  v: 1;
  approval: string;
  digest: string;
  /** Values that were endorsed with it. */
  endorse?: unknown[];
  /** All that were signed with one gesture, by id: this one is among them. */
  list?: { approval: string; digest: string }[];
  /** Bounds within which more calls like it were granted with the same signature. */
  grant?: unknown;
  person: string;
} & SignedByPasskey;

export type ApprovalProof = {
  approval: string;
  /**
   * What was asked, as it was digested. Before version 5 it has the arguments in clear, and is null where they are erased; since then it has the
   * digest that the records of the action have of them, and stays.
   */
  subject: Record<string, unknown> | null;
  /** With a subject of version 5; null where they are erased. */
  arguments?: unknown;
  /** Salt of the digest that the dispatch has of its arguments, base64url; null where they are erased. */
  argumentsSalt: string | null;
  /** One for each person whose yes it took. `enrolment`: the record of the passkey. */
  yes: { evidence: YesEvidence; record: ProvenRecord; enrolment: ProvenRecord | null }[];
};

export type YesSaid = {
  person: string;
  passkey: string;
  time: string;
  origin: string;
  signedWith: number;
  /** Proven to stand before the dispatch: one log has both. Two logs have no order between them but the times that they tell. */
  isBefore: boolean;
};
export type ApprovalReport =
  | { ok: true; approval: string; yes: YesSaid[]; argumentsShown: boolean }
  | { ok: false; link: YesLink; detail: string };

/** Approvals that one gesture signs, at most. */
export const MAX_LIST = 50;
/** Of one length only: what is salt and what is text is read in one way. */
const SALT_BYTES = 16;
const encoder = new TextEncoder();

/**
 * Whether the action whose dispatch is given was approved by whom the proof says. `keys`: of all logs that it is in, known from elsewhere;
 * without them each record is checked with the key that it brings, which proves that nothing was garbled, and no more.
 */
export async function verifyApproval(of: {
  dispatch: ProvenRecord;
  proof: ApprovalProof;
  keys?: readonly string[];
}): Promise<ApprovalReport> {
  const { proof, keys = [] } = of;
  try {
    const ran = await provenRecord(of.dispatch, 'dispatch', keys);
    const dispatch = ran.parsed;
    if (dispatch.kind !== 'dispatch' || typeof proof.approval !== 'string' || dispatch.approval !== proof.approval)
      throw new Broken('dispatch', 'the action that ran names another approval');
    if (!Array.isArray(proof.yes) || proof.yes.length === 0) throw new Broken('format', 'nobody’s yes is in it');
    const yes: YesSaid[] = [];
    let digest: string | undefined;
    for (const each of proof.yes) {
      const said = await verifyYes(each, { approval: proof.approval, ran, keys });
      digest ??= each.evidence.digest;
      if (each.evidence.digest !== digest) throw new Broken('subject', 'two people said yes to different actions');
      yes.push(said);
    }
    if (new Set(yes.map(({ person }) => person)).size !== yes.length)
      throw new Broken('format', 'one person is in it twice');
    if (proof.subject !== null) {
      requireSubject(proof, digest ?? '', dispatch);
      requireEnough(proof.subject.rules, yes.length);
    }
    return {
      ok: true,
      approval: proof.approval,
      yes,
      argumentsShown: proof.subject !== null && proof.argumentsSalt !== null,
    };
  } catch (error) {
    if (error instanceof Broken) return { ok: false, link: error.link, detail: error.message };
    if (error instanceof VerifierError || error instanceof TypeError || error instanceof SyntaxError)
      return { ok: false, link: 'format', detail: `it can’t be read: ${error.message}` };
    throw error;
  }
}

async function verifyYes(
  { evidence, record, enrolment }: ApprovalProof['yes'][number],
  { approval, ran, keys }: { approval: string; ran: { index: number; log: string }; keys: readonly string[] },
): Promise<YesSaid> {
  const { parsed: said, index, log } = await provenRecord(record, 'record', keys);
  if (said.kind !== 'change' || !said.operation.startsWith('approval.') || said.operation.endsWith('.refuse'))
    throw new Broken('record', 'the record is not of a yes');
  if (said.approval !== approval || evidence.approval !== approval)
    throw new Broken('record', 'the yes is to another approval');
  const actor = `person:${evidence.person}`;
  if (said.actor_chain[0]?.sub !== actor) throw new Broken('record', 'the yes is of another person');
  const isBefore = log === ran.log;
  if (isBefore && index >= ran.index) throw new Broken('dispatch', 'the action ran before the yes');
  if (!said.changes.includes(`assertion ${digestOf(evidence)}`))
    throw new Broken('assertion', 'the log has the digest of another assertion');
  if (!said.changes.includes(`digest ${evidence.digest}`))
    throw new Broken('subject', 'the log has the digest of another action');

  await requireSigned(evidence, yesChallenge(evidence));
  if (enrolment === null) throw new Broken('key', `no record says that this passkey is ${evidence.person}’s`);
  await provenRecord(enrolment, 'key', keys);
  const key = digestOf(evidence.publicKey);
  if (
    !enrolmentsIn(encoder.encode(enrolment.entry)).some((each) => each.person === evidence.person && each.key === key)
  )
    throw new Broken('key', `the record of the enrolment is not of this passkey of ${evidence.person}`);
  const signedWith = (evidence.list?.length ?? 1) - 1;
  const { person, passkey, origin } = evidence;
  return { person, passkey, time: said.time, origin, signedWith, isBefore };
}

/** What the passkey signs for a yes: this approval of this action, or a list of such pairs. Throws where the list is not of its form. */
export function yesChallenge(of: Pick<YesEvidence, 'approval' | 'digest' | 'endorse' | 'list' | 'grant'>): Uint8Array {
  const { approval, digest, endorse, list, grant } = of;
  if (list === undefined) {
    const endorsed = endorse === undefined || endorse.length === 0 ? {} : { endorse };
    const signed =
      grant === undefined ? { v: 'endorse' in endorsed ? 2 : 1, ...endorsed } : { v: 4, ...endorsed, grant };
    return sha256(encoder.encode(canonicalJson({ ...signed, approval, digest })));
  }
  if (endorse !== undefined || grant !== undefined)
    throw new Broken('challenge', 'nothing is endorsed or granted with a list');
  if (!list.some((each) => each.approval === approval && each.digest === digest))
    throw new Broken('challenge', 'the list that was signed does not hold this action');
  return listChallenge(list);
}

/** Of a list signed with one gesture: every pair counts, and it has one spelling. */
export function listChallenge(list: readonly { approval: string; digest: string }[]): Uint8Array {
  const isSorted = list.every(({ approval }, index) => index === 0 || (list[index - 1]?.approval ?? '') < approval);
  if (list.length < 2 || list.length > MAX_LIST || !isSorted)
    throw new Broken('challenge', `a list has 2 to ${MAX_LIST} approvals, each once, in the order of their ids`);
  const approvals = list.map(({ approval, digest }) => ({ approval, digest }));
  return sha256(encoder.encode(canonicalJson({ v: 3, approvals })));
}

function requireSubject(proof: ApprovalProof, digest: string, dispatch: LoggedRecord): void {
  const subject = proof.subject as Record<string, unknown>;
  if (digestOf(subject) !== digest) throw new Broken('subject', 'what is shown is not what was signed');
  const ran = {
    agent: dispatch.agent,
    task: dispatch.task,
    operation: dispatch.operation,
    tool: dispatch.tool,
    toolDefinition: dispatch.tool_definition,
    policyVersion: dispatch.decision?.policyVersion,
  };
  const other = Object.entries(ran).find(([name, value]) => (subject[name] || null) !== (value || null));
  if (other) throw new Broken('subject', `the action that ran has another ${other[0]} than the one that was signed`);
  const isSalted = subject.v === 5;
  if (isSalted && (subject.argumentsDigest ?? null) !== dispatch.arguments_digest)
    throw new Broken('arguments', 'the action ran with other arguments than those that were signed');
  if (proof.argumentsSalt === null) {
    if (isSalted && (proof.arguments ?? null) === null) return;
    throw new Broken('arguments', 'the salt of the arguments is missing');
  }
  const salt = fromBase64url(proof.argumentsSalt);
  if (isSalted && salt.length !== SALT_BYTES) throw new Broken('arguments', `a salt has ${SALT_BYTES} bytes`);
  const text = encoder.encode(canonicalJson(isSalted ? (proof.arguments ?? null) : subject.arguments));
  if (dispatch.arguments_digest === `sha256-${toHex(sha256(joinBytes(salt, text)))}`) return;
  throw isSalted
    ? new Broken('arguments', 'the arguments shown are not those that were signed and ran')
    : new Broken('arguments', 'the action ran with other arguments than those that were signed');
}

/** The rules are part of what was signed. Who of them could stand for which step is not told by the log: so many there have to be at least. */
function requireEnough(rules: unknown, people: number): void {
  if (rules === undefined) return;
  for (const { name, steps } of rules as { name: string; steps: { approve?: number }[] }[]) {
    const needed = steps.reduce((sum, { approve = 1 }) => sum + approve, 0);
    if (people < needed)
      throw new Broken(
        'rules',
        `the rule ${name} asks for ${needed} people, and ${people} are proven here; a yes that was said in a channel is not`,
      );
  }
}

// ---- records ----

type LoggedRecord = {
  kind: string;
  operation: string;
  time: string;
  approval: string | null;
  agent: string | null;
  task: string | null;
  tool: string | null;
  tool_definition: string | null;
  arguments_digest: string | null;
  decision: { policyVersion: string } | null;
  actor_chain: { sub: string }[];
  changes: string[];
};

/** `log`: as the signed checkpoint names it; what the record is labelled with is signed by nobody. */
async function provenRecord(record: ProvenRecord, link: YesLink, keys: readonly string[]) {
  const vkey = keys.length === 0 ? record.vkey : keys.find((key) => key.startsWith(`${record.log}+`));
  if (vkey === undefined) throw new Broken(link, `no key of the log ${record.log} was given`);
  const report = await verifyReceipt({ entry: encoder.encode(record.entry), proof: record.proof, vkey });
  if (!report.ok) throw new Broken(link, report.fault.detail);
  return { parsed: parseRecord(record.entry), index: report.index, log: report.checkpoint.origin };
}

function parseRecord(entry: string): LoggedRecord {
  const record = JSON.parse(entry) as LoggedRecord;
  // One spelling only: two members of one name would be read in two ways.
  if (canonicalJson(record) !== entry) throw new Broken('format', 'a record is not in its canonical form');
  return record;
}
