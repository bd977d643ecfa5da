import { hash } from 'node:crypto';
import { type Clock, GatehouseError, type JsonObject } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import {
  AGENT_ALGORITHMS,
  algorithmsOf,
  importPublicKey,
  MalformedJws,
  parseCompactJws,
  publicKeyMembers,
  verifyJws,
} from '../tokens/jws.ts';
import { useAssertion } from './used-assertions.ts';

/** What an agent's client assertion (private_key_jwt, RFC 7523 §2.2) must be, wherever it is presented. */

/** Leeway for `exp`, `nbf` and `iat` of an assertion (RFC 7519 §4.1.4). */
export const CLOCK_TOLERANCE_SECONDS = 60;
/** RFC 7523 §3 lets a server refuse an assertion that would live unreasonably long: it would have to be remembered as long. */
export const ASSERTION_MAX_LIFE_SECONDS = 600;
const MAX_ID_CHARS = 256;
const MAX_ASSERTION_CHARS = 8_192;

/** A proof or an access token must never pass for an assertion (RFC 8725 §3.11). */
const assertionTypes = new Set(['jwt', 'client-authentication+jwt']);

/** RFC 7523 §3 with draft-ietf-oauth-rfc7523bis: one audience, and that is this server. What is wrong, or undefined. */
export function assertionProblem(
  claims: Record<string, unknown>,
  header: Record<string, unknown>,
  { audiences, nowMs }: { audiences: readonly string[]; nowMs: number },
): string | undefined {
  const { aud, exp, jti, iss, sub } = claims;
  const [audience, ...others] = [aud].flat();
  if (others.length > 0 || typeof audience !== 'string' || !audiences.includes(audience))
    return `its aud must be ${audiences[0]} and nothing else`;
  if (iss !== sub) return 'its iss and sub must both be the name of the agent';
  if (header.typ !== undefined && !assertionTypes.has(String(header.typ).toLowerCase()))
    return `its typ ${header.typ} is not that of a client assertion`;
  if (header.crit !== undefined) return 'it has critical header members, which are not understood';
  if (typeof exp !== 'number' || exp > nowMs / 1000 + ASSERTION_MAX_LIFE_SECONDS)
    return `it may live for ${ASSERTION_MAX_LIFE_SECONDS} seconds at most`;
  if (typeof jti !== 'string' || jti.length > MAX_ID_CHARS)
    return `its jti must be a string of at most ${MAX_ID_CHARS} characters`;
  return undefined;
}

interface Dependencies {
  storage: Storage;
  registry: Registry;
  clock: Clock;
}

/**
 * The agent whose registered key has signed the assertion, in whatever state it is; uses the assertion up, also for the token endpoint.
 * Before the signature was verified nobody is told which agents exist. Throws `unauthenticated` GatehouseErrors (`assertion.*`).
 */
export async function verifyClientAssertion(
  { storage, registry, clock }: Dependencies,
  assertion: string,
  audiences: readonly string[],
): Promise<Agent> {
  const { header, payload, ...jws } = parse(assertion);
  const { iss, exp, nbf, iat, jti } = payload;
  const agent = typeof iss === 'string' ? registry.snapshot().agents.get(iss) : undefined;
  const isSigned = agent && isSignedBy(agent, { header, payload, ...jws }, header);
  if (!isSigned)
    throw refused(
      'assertion.unknown',
      `it is not signed with a registered key of the agent that it names (${AGENT_ALGORITHMS.join(', ')})`,
    );
  const nowMs = clock.now();
  const problem = assertionProblem(payload, header, { audiences, nowMs });
  if (problem !== undefined) throw refused('assertion.invalid', problem);
  const now = nowMs / 1000;
  if ((exp as number) <= now - CLOCK_TOLERANCE_SECONDS)
    throw refused('assertion.expired', 'it has expired: sign a new one, and check the clock');
  for (const from of [nbf, iat])
    if (from !== undefined && (typeof from !== 'number' || from > now + CLOCK_TOLERANCE_SECONDS))
      throw refused('assertion.not-yet', 'it is not valid yet: check the clock');
  // The id that oidc-provider gives it (its ReplayDetection model), so that one assertion is used once in all places together.
  const id = hash('sha256', `${iss}${jti}`, 'base64url');
  const until = ((exp as number) + CLOCK_TOLERANCE_SECONDS) * 1000;
  if (!(await useAssertion(storage, id, nowMs, until)))
    throw refused('assertion.used', 'it was used before: sign a new one, with a new jti, for every request');
  return agent;
}

function parse(assertion: string) {
  try {
    return parseCompactJws(assertion, MAX_ASSERTION_CHARS);
  } catch (cause) {
    if (cause instanceof MalformedJws) throw refused('assertion.malformed', cause.message, cause);
    throw cause;
  }
}

function isSignedBy(agent: Agent, jws: ReturnType<typeof parseCompactJws>, { alg }: JsonObject): boolean {
  const algorithm = AGENT_ALGORITHMS.find((known) => known === alg);
  if (!algorithm) return false;
  return agent.manifest.keys.some((jwk) => {
    const members = publicKeyMembers(jwk);
    if (typeof members === 'string' || !algorithmsOf(members).includes(algorithm)) return false;
    return verifyJws(jws, algorithm, importPublicKey(members));
  });
}

const refused = (code: string, reason: string, cause?: unknown) =>
  new GatehouseError('unauthenticated', code, `The client assertion is refused: ${reason}.`, { cause });
