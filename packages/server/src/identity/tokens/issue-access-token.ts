import { TASK_DETAILS_TYPE, type Task } from '@gatehouse/protocol';
import { type Clock, GatehouseError, limits, newId } from '../../platform/index.ts';
import type { Agent } from '../../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';
import { type AccessTokenClaims, actorClaims, signAccessToken } from './access-token.ts';

/** The one place where an access token is made. Whoever calls has proven the agent and found the task running. */
export interface IssueDependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  keys: SigningKeys;
  publicUrl: string;
}

/** What a token is bound to: a DPoP key (RFC 9449), a client certificate (RFC 8705), or nothing. */
export interface Binding {
  jkt?: string;
  /** SHA-256 of the DER certificate, base64url. */
  certificate?: string;
}

export interface Issue {
  agent: Agent;
  task: Task;
  audience: string;
  binding: Binding;
  /** How the agent has proven itself, for the record: `private_key_jwt`, `token-exchange`, `authorization_code` … */
  via: string;
  /** The OAuth client to which the token is given, where that is not the agent itself. */
  client?: string;
  /** The trust rule by which the agent has proven itself: the token ends with it. */
  rule?: string;
  /** Runs in the transaction that records the token. */
  within?: (transaction: DatabaseTransaction) => Promise<void>;
  /** Milliseconds since the epoch; only ever shortens. */
  expiresAt?: number;
}

export type Issued =
  | { ok: true; token: string; claims: AccessTokenClaims }
  /** What changed meanwhile: the agent was stopped or changed, the task has ended. */
  | { ok: false; changed: 'agent' | 'task' };

/**
 * INVARIANT: the token is recorded, durably, before it leaves; and the agent, every agent in its actor chain and the task are read
 * again in the transaction that records it, so that a kill that has returned is seen here whatever this replica's snapshot says (law 6).
 */
export async function issueAccessToken(dependencies: IssueDependencies, issue: Issue): Promise<Issued> {
  const { storage, recordChange, clock, keys, publicUrl } = dependencies;
  const { agent, task, audience, binding } = issue;
  const issuedAt = Math.floor(clock.now() / 1000);
  const end = Math.min(task.expiresAt, issue.expiresAt ?? Number.MAX_SAFE_INTEGER);
  const expiresAt = Math.min(issuedAt + limits.tokenTtlSeconds, Math.floor(end / 1000));
  if (expiresAt <= issuedAt) return { ok: false, changed: 'task' };
  const claims: AccessTokenClaims = {
    iss: publicUrl,
    ...actorClaims({ agent: agent.spiffeId, task, issuer: publicUrl }),
    aud: audience,
    client_id: agent.name,
    jti: newId('tok', clock.now()),
    iat: issuedAt,
    exp: expiresAt,
    authorization_details: [{ type: TASK_DETAILS_TYPE, task: task.id, template: task.template }],
    gatehouse: {
      task: task.id,
      agent_epoch: agent.epoch,
      ...(issue.client !== undefined && { client: issue.client }),
      ...(issue.rule !== undefined && { rule: issue.rule }),
    },
    ...confirmation(binding),
  };
  const token = signAccessToken(claims, keys);
  const changed = await recording(() =>
    storage.transaction(async (transaction) => {
      const gone = await whatChanged(transaction, { agent, task });
      if (gone) return gone;
      await issue.within?.(transaction);
      await recordChange(transaction, {
        operation: 'token.issue',
        by: agent.spiffeId,
        agent: agent.name,
        task: task.id,
        environment: task.environment,
        changes: [
          `token ${claims.jti} for ${audience} until ${new Date(expiresAt * 1000).toISOString()}, ${describe(binding)}, via ${issue.via}${issue.client === undefined ? '' : `, to the client ${issue.client}`}, epoch ${agent.epoch}`,
        ],
      });
      return undefined;
    }),
  );
  return changed ? { ok: false, changed } : { ok: true, token, claims };
}

/** Law 6: whether the agent, every agent of the task's chain and the task still stand, as the database has it now. */
export async function whatChanged(
  transaction: DatabaseTransaction,
  { agent, task }: Pick<Issue, 'agent' | 'task'>,
): Promise<'agent' | 'task' | undefined> {
  const agentNow = await transaction
    .selectFrom('agents')
    .select(['state', 'epoch'])
    .where('name', '=', agent.name)
    .executeTakeFirst();
  if (agentNow?.state !== 'active' || agentNow.epoch !== agent.epoch) return 'agent' as const;
  const chain = task.actors.map(({ sub }) => sub.slice(sub.lastIndexOf('/') + 1));
  const active =
    chain.length === 0
      ? []
      : await transaction
          .selectFrom('agents')
          .select('name')
          .where('name', 'in', chain)
          .where('state', '=', 'active')
          .execute();
  if (active.length < chain.length) return 'agent' as const;
  // A task ends with what kills an agent of its chain and with the task that handed it on, so that its own state says the rest.
  const taskNow = await transaction.selectFrom('tasks').select('state').where('id', '=', task.id).executeTakeFirst();
  if (taskNow?.state !== 'active') return 'task' as const;
  return undefined;
}

/** `cnf` as it stands in a token and in an answer to introspection. */
export function confirmation({ jkt, certificate }: Binding): Pick<AccessTokenClaims, 'cnf'> {
  if (jkt === undefined && certificate === undefined) return {};
  return {
    cnf: { ...(jkt !== undefined && { jkt }), ...(certificate !== undefined && { 'x5t#S256': certificate }) },
  };
}

function describe({ jkt, certificate }: Binding): string {
  const bound = [
    ...(jkt === undefined ? [] : [`key ${jkt}`]),
    ...(certificate === undefined ? [] : [`certificate ${certificate}`]),
  ];
  return `bound to ${bound.join(' and ') || 'no key'}`;
}

/** Law 1: what cannot be recorded does not happen, whatever the reason. */
export async function recording<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new GatehouseError('unavailable', 'token.not-recorded', 'The token could not be recorded.', { cause });
  }
}
