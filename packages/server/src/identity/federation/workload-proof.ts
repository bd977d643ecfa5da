import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { OutsideProof } from '@gatehouse/protocol';
import { type Clock, clientAddress, GatehouseError } from '../../platform/index.ts';
import type { Registry, Workload } from '../../registry/index.ts';
import type { DatabaseTransaction, Guard } from '../../storage/index.ts';
import { useAssertionWithin } from '../authorization-server/used-assertions.ts';
import type { Peers } from '../client-certificate/peers.ts';
import type { SvidVerifier } from '../client-certificate/svid-verifier.ts';
import { MalformedJws, parseCompactJws } from '../tokens/jws.ts';
import type { Proofs } from '../tokens/proof.ts';
import type { Federation } from './federation.ts';
import { federationLimits } from './limits.ts';
import { provenKey } from './proven-key.ts';

interface Dependencies {
  registry: Registry;
  clock: Clock;
  federation: Federation;
  proofs: Proofs;
  peers: Peers;
  svids: SvidVerifier;
  publicUrl: string;
}

/** A workload that has proven itself. Nothing has been used up yet. */
export interface ProvenWorkload {
  workload: Workload;
  /** For records: `trust rule NAME`, `x509-svid`, `jwt-svid`. */
  via: string;
  /** What was proven, and by whom: for records. */
  source: string;
  /** True: by an SVID of another trust domain. */
  isForeign: boolean;
  /** The fences of all that lets it in, as they were before it was looked at (law 6). */
  guards: Guard[];
  /** To be called in a transaction that acts on it; refuses a proof that was used. */
  use(transaction: DatabaseTransaction): Promise<void>;
}

export type ProveWorkload = (
  request: IncomingMessage,
  path: string,
  proof: OutsideProof | undefined,
) => Promise<ProvenWorkload>;

/**
 * How a service that is not an agent says who it is: by what outside issuers vouch for, as a trust rule has it; by its JWT-SVID, once; or, with
 * no proof in the request, by the X.509-SVID of the connection, its own or one of a federated trust domain that a rule lets stand for it.
 */
export function createWorkloadProofs(deps: Dependencies): ProveWorkload {
  const { registry, clock, federation, peers, svids, publicUrl } = deps;

  const standing = async (name: string, rule: string | undefined, fences: ReadonlyMap<string, number>) => {
    const keys = [`workload:${name}`, ...(rule === undefined ? [] : [`trust-rule:${rule}`])];
    return {
      workload: await registry.activeWorkload(name),
      guards: keys.map((key) => ({ key, version: fences.get(key) ?? 0 })),
    };
  };

  const byRule: ProveWorkload = async (request, path, proof) => {
    const { fences, trustRules } = registry.snapshot();
    const vouched = await federation.vouch(proof as OutsideProof, clientAddress(request));
    const { workload: name, name: rule } = vouched.rule;
    if (name === undefined) throw ofAnAgent();
    const key = request.headers.dpop === undefined ? '' : provenKey(deps, request, path, vouched.credential).thumbprint;
    return {
      ...(await standing(name, rule, fences)),
      via: `trust rule ${rule}`,
      source: vouched.source,
      isForeign: trustRules.get(rule)?.issuer.type === 'spiffe',
      use: (transaction) => vouched.use(transaction, key),
    };
  };

  const byJwtSvid = async (token: string): Promise<ProvenWorkload> => {
    const { fences } = registry.snapshot();
    const svid = await svids.verifyJwtSvid(token, publicUrl);
    if (svid.audience.length !== 1) throw refused(`its aud must be ${publicUrl} and nothing else`);
    const principal = svids.principalOf(svid.spiffeId);
    if (principal?.kind !== 'workload') throw ofAnAgent();
    const why = await svids.whyRefused(svid);
    if (why !== undefined) throw refused(why);
    const id = hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url');
    return {
      ...(await standing(principal.name, undefined, fences)),
      via: 'jwt-svid',
      source: svid.spiffeId,
      isForeign: false,
      async use(transaction) {
        if (!(await useAssertionWithin(transaction, id, clock.now(), svid.notAfter)))
          throw refused('it was used before: fetch a new one for every request');
      },
    };
  };

  const byCertificate = async (request: IncomingMessage): Promise<ProvenWorkload> => {
    const { fences } = registry.snapshot();
    const { certificate, problem } = await peers.of(request);
    if (!certificate)
      throw new GatehouseError(
        'unauthenticated',
        'workload.no-proof',
        problem ?? 'Prove which workload this is: with `proof` in the body, or an X.509-SVID over mutual TLS.',
      );
    const { principal, rule, svid, stranger } = certificate;
    if (stranger !== undefined) {
      await federation.refuseSvid(svid.spiffeId, stranger);
      throw new GatehouseError('forbidden', 'trust.no-match', stranger);
    }
    if (principal?.kind !== 'workload') throw ofAnAgent();
    const why = rule === undefined ? await svids.whyRefused(svid) : undefined;
    if (why !== undefined) throw refused(why);
    return {
      ...(await standing(principal.name, rule, fences)),
      via: rule === undefined ? 'x509-svid' : `trust rule ${rule}`,
      source: svid.spiffeId,
      isForeign: rule !== undefined,
      async use(transaction) {
        if (rule !== undefined) await federation.noteUse(transaction, rule);
      },
    };
  };

  return (request, path, proof) => {
    if (proof === undefined) return byCertificate(request);
    if ('token' in proof && svids.isOwn(subjectOf(proof.token))) return byJwtSvid(proof.token);
    return byRule(request, path, proof);
  };
}

/** Of a token that nobody has verified yet: it only says who is to verify it. */
function subjectOf(token: string): string {
  try {
    return String(parseCompactJws(token, federationLimits.tokenChars).payload.sub);
  } catch (error) {
    if (error instanceof MalformedJws) return '';
    throw error;
  }
}

const refused = (why: string) => new GatehouseError('forbidden', 'svid.refused', `The SVID is refused: ${why}.`);

const ofAnAgent = () =>
  new GatehouseError(
    'forbidden',
    'workload.not-one',
    'This proof stands for no workload. Agents start their tasks at the token endpoint.',
  );
