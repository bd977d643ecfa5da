import type { KeyObject } from 'node:crypto';
import type { Clock } from '../../platform/index.ts';
import { createBoundedCache } from './bounded-cache.ts';
import { CredentialError } from './credential-error.ts';
import {
  AGENT_ALGORITHMS,
  algorithmsOf,
  type CompactJws,
  importPublicKey,
  type JwsAlgorithm,
  jwkThumbprint,
  MalformedJws,
  parseCompactJws,
  publicKeyMembers,
  verifyJws,
} from './jws.ts';
import { createProofNonces, PROOF_NONCE_MAX_LIFE_MS } from './proof-nonce.ts';
import { createReplayWindow } from './replay-window.ts';

/**
 * DPoP proofs (RFC 9449 §4.3), checked in the order of the RFC's list, for the token endpoint and for every door.
 *
 * Replay: a proof is accepted once per replica. The set of used proofs is in memory and not shared, so someone who captures a
 * request in transit could present its proof once on each other replica while it is fresh (at most `IAT_WINDOW_MS` either way).
 * The call would be the captured one to the same URL with the same token; its arguments are not covered by DPoP. Requiring nonces
 * closes this (see proof-nonce.ts).
 */
export interface Proofs {
  /** Throws CredentialError. Consumes the proof: the same one is refused from then on. */
  check(proof: PresentedProof): { thumbprint: string };
  nonce(): string;
}

export interface PresentedProof {
  /** Value of the DPoP header. */
  proof: string;
  method: string;
  /** Absolute URL of the request; query and fragment are ignored. */
  url: string;
  /** At a resource: SHA-256 of the access token (base64url), and the thumbprint it is bound to. */
  token?: { hash: string; boundTo: string };
}

/** How far `iat` may lie from now, either way. Clients with worse clocks are answered with a nonce, which replaces it. */
const IAT_WINDOW_MS = 60_000;
const MAX_PROOF_CHARS = 4_096;
const MAX_ID_CHARS = 256;
/** Keys seen lately; an agent has one, so this is agents at work on this replica. */
const KEYS_PER_GENERATION = 4_096;

interface ProofKey {
  algorithm: JwsAlgorithm;
  key: KeyObject;
  thumbprint: string;
}

export function createProofs({ clock, requireNonce }: { clock: Clock; requireNonce: boolean }): Proofs {
  const nonces = createProofNonces();
  const used = createReplayWindow(Math.max(2 * IAT_WINDOW_MS, PROOF_NONCE_MAX_LIFE_MS));
  const keys = createBoundedCache<ProofKey>(KEYS_PER_GENERATION);

  const keyOf = (jws: CompactJws): ProofKey => {
    const known = keys.get(jws.headerSegment);
    if (known) return known;
    const fresh = readHeader(jws);
    keys.set(jws.headerSegment, fresh);
    return fresh;
  };

  const checkTime = (payload: CompactJws['payload'], now: number) => {
    const { nonce, iat } = payload;
    if (nonce !== undefined) {
      if (typeof nonce !== 'string' || !nonces.accepts(nonce, now))
        throw useNonce('its nonce is not one of the last two minutes; repeat with the nonce of the DPoP-Nonce header');
      return;
    }
    if (requireNonce) throw useNonce('it needs the nonce that the DPoP-Nonce header gives');
    if (typeof iat !== 'number' || !Number.isFinite(iat)) throw refused('its iat is not a number');
    if (Math.abs(now - iat * 1000) > IAT_WINDOW_MS)
      throw useNonce(
        `its iat is more than ${IAT_WINDOW_MS / 1000} s away; set the clock or use the nonce of the DPoP-Nonce header`,
      );
  };

  return {
    nonce: () => nonces.current(clock.now()),
    check({ proof, method, url, token }) {
      const now = clock.now();
      const jws = parse(proof);
      const { algorithm, key, thumbprint } = keyOf(jws);
      const { jti, htm, htu, iat, ath } = jws.payload;
      if (typeof jti !== 'string' || jti === '' || jti.length > MAX_ID_CHARS)
        throw refused(`its jti is not a string of 1 to ${MAX_ID_CHARS} characters`);
      if (typeof htm !== 'string' || typeof htu !== 'string' || iat === undefined)
        throw refused('it lacks htm, htu or iat');
      if (token && thumbprint !== token.boundTo)
        throw new CredentialError(
          'invalid_token',
          'token.other-key',
          'The access token is bound to another key than the one of the DPoP proof.',
        );
      if (!verifyJws(jws, algorithm, key)) throw refused('its signature does not verify');
      if (htm !== method) throw refused(`its htm is not ${method}`);
      if (!sameTarget(htu, url)) throw refused(`its htu is not ${withoutQuery(url)}`);
      checkTime(jws.payload, now);
      if (token && ath !== token.hash) throw refused('its ath is not the hash of the presented token');
      switch (used.add(`${thumbprint}.${jti}`, now)) {
        case 'replayed':
          throw new CredentialError(
            'invalid_dpop_proof',
            'proof.replayed',
            'The DPoP proof was used before: sign a new one, with a new jti, for every request.',
          );
        case 'full':
          throw new CredentialError(
            'invalid_dpop_proof',
            'proof.busy',
            'This replica has seen too many proofs in the last minute to tell a new one from a used one. Try again in a minute.',
          );
      }
      return { thumbprint };
    },
  };
}

function parse(proof: string): CompactJws {
  try {
    return parseCompactJws(proof, MAX_PROOF_CHARS);
  } catch (cause) {
    if (cause instanceof MalformedJws) throw refused(`${cause.message} (one proof per request)`, cause);
    throw cause;
  }
}

function readHeader({ header }: CompactJws): ProofKey {
  const { typ, alg, jwk } = header;
  if (typ !== 'dpop+jwt') throw refused('its typ is not dpop+jwt');
  if (header.crit !== undefined) throw refused('it has critical header members, which are not understood');
  const algorithm = AGENT_ALGORITHMS.find((known) => known === alg);
  if (!algorithm) throw refused(`its alg is not one of ${AGENT_ALGORITHMS.join(', ')}`);
  const members = publicKeyMembers(jwk);
  if (typeof members === 'string') throw refused(members);
  if (!algorithmsOf(members).includes(algorithm)) throw refused('its alg does not fit its jwk');
  try {
    return { algorithm, key: importPublicKey(members), thumbprint: jwkThumbprint(members) };
  } catch (cause) {
    throw refused('its jwk is not a point of the curve', cause);
  }
}

function sameTarget(htu: string, url: string): boolean {
  const expected = withoutQuery(url);
  if (htu === expected) return true;
  const given = URL.parse(htu);
  return given !== null && withoutQuery(given.href) === URL.parse(expected)?.href;
}

function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

const refused = (reason: string, cause?: unknown) =>
  new CredentialError('invalid_dpop_proof', 'proof.invalid', `The DPoP proof is refused: ${reason}.`, cause);

const useNonce = (reason: string) =>
  new CredentialError('use_dpop_nonce', 'proof.nonce', `The DPoP proof is refused: ${reason}.`);
