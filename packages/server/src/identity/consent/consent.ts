import type { Task, TaskParameters } from '@gatehouse/protocol';
import type { DatabaseTransaction } from '../../storage/index.ts';
import type { Binding } from '../tokens/issue-access-token.ts';

/**
 * A person's yes as it is kept: the whole of what a token may later be issued for. It stands in the `Grant` artifact that codes and
 * refresh tokens refer to, so that whatever a client sends later cannot widen it.
 */
export interface Consent {
  agent: string;
  /** Of the agent when the person said yes: a kill, or a change of its keys, in between ends it. */
  agentEpoch: number;
  user: string;
  /** Of the person when they said yes: if they leave in between, it is over, also when they are back. */
  personVersion: number;
  template: string;
  parameters: TaskParameters;
  intent: string;
  /** Tool references: what was shown and kept. */
  tools: string[];
  ttlSeconds: number;
  digest: string;
  /** The standing delegation that the person left with it. */
  delegation: string | null;
  /** RFC 9449 section 10: the key that the code was asked for with. */
  dpopKey: string | null;
  /** Set when the token has been issued: the task, and what its tokens are bound to. Refreshing keeps both. */
  started: { task: Task['id']; binding: Binding } | null;
}

/** Moves with everything that is written of a person, so with their leaving and their return. */
export async function personVersion(transaction: DatabaseTransaction, email: string): Promise<number> {
  const fence = await transaction
    .selectFrom('fences')
    .select('version')
    .where('key', '=', `person:${email}`)
    .executeTakeFirst();
  return fence?.version ?? 0;
}

/** The consent in a `Grant` artifact; undefined where it is for no agent (command-line.ts). */
export function consentOf(grant: { rar?: unknown } | undefined): Consent | undefined {
  const [first] = Array.isArray(grant?.rar) ? grant.rar : [];
  const consent = first as Consent | undefined;
  return consent?.agent === undefined ? undefined : consent;
}
