import type { Erasure, KeepingScope, LegalHold } from './keeping.ts';
import type { LeaseView } from './leases.ts';
import type { ActionRecord } from './records.ts';
import type { RetentionView } from './retention.ts';

/** What one person asks for and another agrees to; named as their agreement is recorded. */
export const secondYesActs = ['lease.drop', 'hold.end', 'erasure.agree', 'retention.agree'] as const;
export type SecondYesAct = (typeof secondYesActs)[number];

/** What is agreed to, whole: it is shown, a passkey signs it, and it stands in the record. Times are RFC 3339. */
export type SecondYesStatement =
  | {
      act: 'lease.drop';
      id: string;
      provider: string;
      /** As it is called outside. */
      name: string;
      agent: string;
      task: string;
      environment: string;
      /** When the last that may be left of it ends by itself; null: it works until somebody ends it there. */
      remainsUntil: string | null;
      reason: string;
      askedBy: string;
      askedAt: string;
    }
  | {
      act: 'hold.end';
      id: string;
      scope: KeepingScope;
      reason: string;
      placedBy: string;
      placedAt: string;
      askedBy: string;
    }
  | { act: 'erasure.agree'; id: string; scope: KeepingScope; reason: string; askedBy: string; askedAt: string }
  | {
      act: 'retention.agree';
      /** Name of the class. */
      id: string;
      records: number | string | null;
      /** Of the class as it was applied. */
      digest: string;
      reason: string;
      askedBy: string;
    };

/** Of what is shown: the server says the same of what it has, or the passkey signs nothing. Null where nobody has asked. */
export const dropStatement = ({ id, provider, name, agent, task, environment, drop }: LeaseView) =>
  drop && {
    ...{ act: 'lease.drop' as const, id, provider, name, agent, task, environment },
    remainsUntil: drop.remainsUntil === null ? null : time(drop.remainsUntil),
    ...{ reason: drop.reason, askedBy: drop.askedBy, askedAt: time(drop.askedAt) },
  };

export const holdEndStatement = ({ id, scope, reason, placedBy, placedAt, endAskedBy }: LegalHold) =>
  endAskedBy === null
    ? null
    : { act: 'hold.end' as const, id, scope, reason, placedBy, placedAt: time(placedAt), askedBy: endAskedBy };

export const erasureStatement = ({ id, scope, reason, askedBy, askedAt }: Erasure) => ({
  ...{ act: 'erasure.agree' as const, id, scope, reason, askedBy, askedAt: time(askedAt) },
});

export const retentionStatement = ({ name, records, belowMinimum }: RetentionView['classes'][number]) =>
  belowMinimum && {
    ...{ act: 'retention.agree' as const, id: name, records, digest: belowMinimum.digest },
    ...{ reason: belowMinimum.reason, askedBy: belowMinimum.appliedBy },
  };

const time = (at: number): string => new Date(at).toISOString();

/** What the passkey signs is SHA-256 over the RFC 8785 form of this. `nonce`: good once, for five minutes. */
export const secondYesSigned = (statement: SecondYesStatement, nonce: string) => ({
  ...{ v: 1, secondYes: statement, nonce },
});

export interface SecondYesAsked {
  statement: SecondYesStatement;
  nonce: string;
  /** PublicKeyCredentialRequestOptionsJSON. */
  options: unknown;
}

/** In the record of what was agreed to, after `SECOND_YES`: all that it takes to verify it without us. */
export interface SecondYesEvidence {
  v: 1;
  statement: SecondYesStatement;
  nonce: string;
  person: string;
  /** Id of the credential. */
  passkey: string;
  /** JWK. */
  publicKey: Record<string, string>;
  rpId: string;
  origin: string;
  response: { id: string; clientDataJSON: string; authenticatorData: string; signature: string };
}

/** How the line of a record begins that has the evidence, as JSON. */
export const SECOND_YES = 'second yes ';
/** Where the host's token has asked, whoever agrees first takes the question up. */
const RECORDED_AS = [...secondYesActs, 'lease.take-up-drop', 'hold.take-up', 'erasure.take-up'];

/** The evidence in a record, if it is of an agreement: in lines of any other record people and tools write what they like. */
export function secondYesEvidence({ kind, operation, changes }: Said): SecondYesEvidence | null {
  if (kind !== 'change' || !RECORDED_AS.includes(operation)) return null;
  const line = changes.find((each) => each.startsWith(`${SECOND_YES}{`));
  return line === undefined ? null : (JSON.parse(line.slice(SECOND_YES.length)) as SecondYesEvidence);
}

type Said = Pick<ActionRecord, 'kind' | 'operation' | 'changes'>;

/** What a record says was changed, as people read it: of a second person's yes who gave it, and not the signature. */
export function changesInWords(record: Said): string[] {
  const evidence = secondYesEvidence(record);
  if (!evidence) return record.changes;
  const { person, passkey, origin } = evidence;
  const words = `agreed to by ${person}, whose passkey ${passkey.slice(0, 12)} signed exactly this at ${origin}`;
  return record.changes.map((line) => (line.startsWith(`${SECOND_YES}{`) ? words : line));
}
