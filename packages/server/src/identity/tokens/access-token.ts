import type { Task } from '@gatehouse/protocol';
import { z } from 'zod';
import { limits } from '../../platform/index.ts';
import type { SigningKeys } from '../keys/signing-keys.ts';
import { CredentialError } from './credential-error.ts';
import { type CompactJws, MalformedJws, parseCompactJws, signCompactJws, verifyJws } from './jws.ts';

/** One actor of a chain (RFC 8693 §4.1, draft-mcguinness-oauth-actor-profile): outermost presents the token. */
export interface ActClaim {
  iss: string;
  sub: string;
  sub_profile: 'ai_agent';
  act?: ActClaim | undefined;
}

const actClaim: z.ZodType<ActClaim> = z.strictObject({
  iss: z.string(),
  sub: z.string(),
  sub_profile: z.literal('ai_agent'),
  get act() {
    return actClaim.optional();
  },
});

/**
 * Access tokens: RFC 9068 JWTs, ES256, made and read only here. They carry nothing private: the template and the id of the task,
 * not what the agent said about it. An agent that acts for itself is the subject and there is no `act`. Otherwise the subject is
 * the person (`person:EMAIL`) or the agent that it began with, and `act` is the chain of agents, the presenting one outermost.
 */
export const accessTokenClaims = z.strictObject({
  iss: z.string(),
  /** SPIFFE ID of an agent, or `person:EMAIL`. */
  sub: z.string(),
  /** Exactly one resource: `PUBLIC_URL/mcp`, or one server's address below it. */
  aud: z.string(),
  /** Name of the agent. */
  client_id: z.string(),
  jti: z.string(),
  iat: z.number().int(),
  exp: z.number().int(),
  sub_profile: z.enum(['ai_agent', 'user']),
  act: actClaim.optional(),
  authorization_details: z.tuple([z.strictObject({ type: z.string(), task: z.string(), template: z.string() })]),
  gatehouse: z.strictObject({
    task: z.string(),
    agent_epoch: z.number().int(),
    /** The OAuth client that a person drives the agent with; absent where the client is the agent. */
    client: z.string().optional(),
    /** The trust rule by which the agent has proven itself; absent where it did so with a key or an SVID of this trust domain. */
    rule: z.string().optional(),
  }),
  cnf: z.strictObject({ jkt: z.string().optional(), 'x5t#S256': z.string().optional() }).optional(),
});
export type AccessTokenClaims = z.infer<typeof accessTokenClaims>;

/** The subject and chain of a task's token. `agent` is the SPIFFE ID of the task's own agent, which presents it. */
export function actorClaims({
  agent,
  task,
  issuer,
}: {
  agent: string;
  task: Pick<Task, 'user' | 'actors'>;
  issuer: string;
}): Pick<AccessTokenClaims, 'sub' | 'sub_profile' | 'act'> {
  const chain = [agent, ...task.actors.map(({ sub }) => sub)];
  const subject = task.user === null ? (chain.pop() as string) : `person:${task.user}`;
  const act = chain.reduceRight<ActClaim | undefined>(
    (inner, sub) => ({ iss: issuer, sub, sub_profile: 'ai_agent', ...(inner && { act: inner }) }),
    undefined,
  );
  return { sub: subject, sub_profile: task.user === null ? 'ai_agent' : 'user', ...(act && { act }) };
}

/** Who presents the token: the outermost actor, or the subject where there is none. */
export function presenterOf({ sub, act }: AccessTokenClaims): string {
  return act?.sub ?? sub;
}

/** A real token has about 1,000 characters; each actor of a chain adds 200 to 350, and there are at most 8. */
const MAX_TOKEN_CHARS = 6_144;
/** How far the clock of the replica that issued may be ahead of ours. `exp` has no such leeway: it is what an agent is promised. */
const SKEW_SECONDS = 60;

const TYPE = 'at+jwt';

export function signAccessToken(claims: AccessTokenClaims, keys: SigningKeys): string {
  const { kid, key } = keys.signer();
  return signCompactJws({ alg: 'ES256', typ: TYPE, kid }, claims, key);
}

/** Checks everything that does not change while the token lives, but for `exp` and `aud`. Throws CredentialError. */
export async function verifyAccessToken(
  token: string,
  { keys, issuer, now }: { keys: SigningKeys; issuer: string; now: number },
): Promise<AccessTokenClaims> {
  const jws = parse(token);
  const { alg, typ, kid, ...others } = jws.header;
  if (alg !== 'ES256') throw invalid('its alg is not ES256');
  if (typ !== TYPE) throw invalid(`its typ is not ${TYPE}`);
  if (Object.keys(others).length > 0) throw invalid('its header has members that Gatehouse does not write');
  const key = typeof kid === 'string' ? await keys.verifier(kid) : undefined;
  if (!key) throw invalid('it is not signed with a key of this server');
  if (!verifyJws(jws, 'ES256', key)) throw invalid('its signature does not verify');

  const claims = accessTokenClaims.safeParse(jws.payload);
  if (!claims.success) throw invalid('its claims are not those of an access token', claims.error);
  const { iss, iat, exp } = claims.data;
  if (iss !== issuer) throw invalid('it was issued by another server');
  if (iat > now / 1000 + SKEW_SECONDS) throw invalid('it is not valid yet');
  if (exp - iat > limits.tokenTtlSeconds) throw invalid('it lives longer than an access token may');
  return claims.data;
}

function parse(token: string): CompactJws {
  try {
    return parseCompactJws(token, MAX_TOKEN_CHARS);
  } catch (cause) {
    if (cause instanceof MalformedJws) throw invalid(cause.message, cause);
    throw cause;
  }
}

const invalid = (reason: string, cause?: unknown) =>
  new CredentialError('invalid_token', 'token.invalid', `The access token is refused: ${reason}.`, cause);
