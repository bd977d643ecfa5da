import type { ResourceServerManifest, Task } from '@gatehouse/protocol';
import { newId } from '../../platform/index.ts';
import type { Agent } from '../../registry/index.ts';
import { actorClaims } from '../tokens/access-token.ts';
import { type IssueDependencies, type Issued, recordIssue } from '../tokens/issue-access-token.ts';
import { signCompactJws } from '../tokens/jws.ts';
import { ID_JAG_TYPE } from './company-tokens.ts';
import { delegationLimits } from './limits.ts';

export interface IssueIdJag {
  agent: Agent;
  /** With a verified person. */
  task: Task & { user: string };
  at: Pick<ResourceServerManifest, 'name' | 'issuer'>;
  /** `gate`: it is exchanged there for a token that no agent sees. Left out: the agent gets it. */
  heldBy?: 'gate';
  /** `jwt`: for an authorization server that exchanges JWTs (RFC 8693) and knows no ID-JAG. */
  form?: 'jwt';
  /** The agent's client id there. */
  clientId: string;
  resources: string[];
  scopes: string[];
  /** Thumbprint of the agent's DPoP key, which the ID-JAG is bound to. */
  jkt: string | undefined;
  /** Seconds since the epoch: of the token that it is made from. */
  expiresAt: number;
}

/**
 * The one place where ID-JAGs are made (draft-ietf-oauth-identity-assertion-authz-grant §3). As with access tokens: recorded before it
 * leaves, if the agent, its chain, the person and the task still stand (laws 1, 6). What is done with it, no gate sees, and the record says so (law 3).
 */
export async function issueIdJag(
  dependencies: IssueDependencies,
  { agent, task, at, heldBy, form, clientId, resources, scopes, jkt, expiresAt }: IssueIdJag,
): Promise<{ ok: true; token: string; expiresIn: number } | Extract<Issued, { ok: false }>> {
  const { clock, keys, publicUrl } = dependencies;
  const now = Math.floor(clock.now() / 1000);
  const exp = Math.min(now + delegationLimits.idJagTtlSeconds, expiresAt, Math.floor(task.expiresAt / 1000));
  if (exp <= now) return { ok: false, changed: 'task' };
  const { act } = actorClaims({ agent: agent.spiffeId, task, issuer: publicUrl });
  const jti = newId('tok', clock.now());
  const claims = {
    iss: publicUrl,
    sub: `person:${task.user}`,
    aud: at.issuer,
    client_id: clientId,
    jti,
    iat: now,
    exp,
    email: task.user,
    email_verified: true,
    act,
    ...(resources.length > 0 && { resource: resources.length === 1 ? resources[0] : resources }),
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...(jkt !== undefined && { cnf: { jkt } }),
  };
  const { kid, key } = keys.signer();
  const token = signCompactJws({ alg: 'ES256', typ: form === 'jwt' ? 'JWT' : ID_JAG_TYPE, kid }, claims, key);
  const changed = await recordIssue(
    dependencies,
    { agent, task },
    {
      operation: 'id-jag.issue',
      changes: [
        `${form === 'jwt' ? 'assertion' : 'ID-JAG'} ${jti} for ${task.user} at ${at.name} (${at.issuer}), client ${clientId}, until ${new Date(exp * 1000).toISOString()}`,
        `resource ${resources.join(' ') || 'any'}; scope ${scopes.join(' ') || 'none'}; ${heldBy === 'gate' ? 'held by the gate' : 'ungated: nothing here sees or revokes what comes of it'}`,
      ],
    },
  );
  return changed ? { ok: false, changed } : { ok: true, token, expiresIn: exp - now };
}
