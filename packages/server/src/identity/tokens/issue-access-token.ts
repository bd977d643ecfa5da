import { TASK_DETAILS_TYPE, type Task } from '@gatehouse/protocol';
import { type Clock, GatehouseError, limits, newId } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { AdministrativeChange, RecordGuarded } from '../../storage/index.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';
import { type AccessTokenClaims, actorClaims, signAccessToken } from './access-token.ts';
import { whyStopped } from './authenticate.ts';
import { guardsOf, whyChainStopped } from './chain.ts';

/** The one place where an access token is made. Whoever calls has proven the agent and found the task running. */
export interface IssueDependencies {
  registry: Pick<Registry, 'snapshot'>;
  recordGuarded: RecordGuarded;
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
  /** Milliseconds since the epoch; only ever shortens. */
  expiresAt?: number;
}

export type Issued = { ok: true; token: string; claims: AccessTokenClaims } | { ok: false; changed: Changed };

/** What changed meanwhile: an agent was stopped or changed, the person has left or was changed, the task has ended. */
export type Changed = 'agent' | 'person' | 'task';

/**
 * INVARIANT: the token is recorded, durably, before it leaves; and only while the agent, every agent in its actor chain, the person and the task
 * are as they were when it was decided (their fences), so that a kill that has returned is seen here whatever this replica's snapshot says (law 6).
 */
export async function issueAccessToken(dependencies: IssueDependencies, issue: Issue): Promise<Issued> {
  const { clock, keys, publicUrl } = dependencies;
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
  const changed = await recordIssue(dependencies, issue, {
    operation: 'token.issue',
    changes: [
      `token ${claims.jti} for ${audience} until ${new Date(expiresAt * 1000).toISOString()}, ${describe(binding)}, via ${issue.via}${issue.client === undefined ? '' : `, to the client ${issue.client}`}, epoch ${agent.epoch}`,
    ],
  });
  return changed ? { ok: false, changed } : { ok: true, token, claims };
}

/** Records what an agent gets for a task, or says what has changed: then it was not recorded, and may not leave. */
export async function recordIssue(
  { registry, recordGuarded }: Pick<IssueDependencies, 'registry' | 'recordGuarded'>,
  { agent, task }: Pick<Issue, 'agent' | 'task'>,
  change: Pick<AdministrativeChange, 'operation' | 'changes'>,
): Promise<Changed | undefined> {
  const snapshot = registry.snapshot();
  const now = snapshot.agents.get(agent.name);
  if (!now || whyStopped(now) || now.epoch !== agent.epoch || whyChainStopped(task, snapshot)) return 'agent';
  const of = { by: agent.spiffeId, agent: agent.name, task: task.id, environment: task.environment };
  let written: Awaited<ReturnType<RecordGuarded>>;
  try {
    written = await recordGuarded({ ...change, ...of }, guardsOf(snapshot, agent.name, task));
  } catch (cause) {
    // Law 1: what cannot be recorded does not happen, whatever the reason.
    throw new GatehouseError('unavailable', 'token.not-recorded', 'The token could not be recorded.', { cause });
  }
  return written.ok ? undefined : (written.failed.split(':', 1)[0] as Changed);
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
