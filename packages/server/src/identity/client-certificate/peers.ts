import { hash, type X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { type Clock, connectionLimits, GatehouseError } from '../../platform/index.ts';
import { trustDomainLimits } from '../trust-domain/limits.ts';
import type { Standing, SvidVerifier, VerifiedSvid } from './svid-verifier.ts';

/**
 * Who is at the other end of a request's TLS connection. The listener asks for a certificate and judges none, so that whatever is
 * wrong with one is said where one is needed, in the words of that place, and a certificate that proves nothing is as good as none.
 */
export interface Peers {
  /** As of now: what a long-lived connection proved once may have run out since. */
  of(request: Pick<IncomingMessage, 'socket'>): Promise<Peer>;
  /** Ends the connections that were made with certificates of this agent, when what is being answered on them has been said. */
  end(agent: string): void;
  /** Whom the trust domain vouches for has changed: nobody is taken for verified any more. */
  forget(): void;
}

export type Peer =
  /** `problem`: why the certificate that was shown counts for nothing; undefined when none was. */
  { certificate?: undefined; problem?: string } | { certificate: PeerCertificate; problem?: undefined };

export interface PeerCertificate extends Standing {
  /** SHA-256 of the DER, base64url: `x5t#S256` (RFC 8705 §3.1). */
  thumbprint: string;
  svid: VerifiedSvid;
}

export const nobody: Peer = {};

/** One more than the trust domain reads: it says that a chain is too long. */
const MAX_CHAIN = trustDomainLimits.chainCertificates + 1;

interface Presented {
  chain: Buffer[];
  thumbprint: string;
  verified?: { svid: VerifiedSvid; until: number; generation: number };
}

export function createPeers({
  svids,
  standingOf,
  clock,
}: {
  svids: Pick<SvidVerifier, 'verifySvid' | 'principalOf' | 'isOwn'>;
  standingOf(spiffeId: string): Standing;
  clock: Clock;
}): Peers {
  // A connection shows one certificate for as long as it lives: sessions are not resumed and not renegotiated.
  const presented = new WeakMap<TLSSocket, Presented>();
  const connections = new Map<string, Set<TLSSocket>>();
  let generation = 0;

  /** Throws what `verifySvid` throws. A certificate is verified once, and again when something of its chain has expired or the trust domain has changed. */
  const verify = async (shown: Presented): Promise<VerifiedSvid> => {
    const known = shown.verified;
    if (known && known.generation === generation && known.until > clock.now()) return known.svid;
    const asOf = generation;
    const svid = await svids.verifySvid(shown.chain);
    shown.verified = { svid, until: svid.validUntil, generation: asOf };
    return svid;
  };

  const remember = (socket: TLSSocket, agent: string) => {
    const its = connections.get(agent) ?? new Set();
    if (its.has(socket) || socket.destroyed) return;
    connections.set(agent, its.add(socket));
    socket.once('close', () => {
      its.delete(socket);
      if (its.size === 0) connections.delete(agent);
    });
  };

  return {
    async of({ socket }) {
      if (!(socket instanceof TLSSocket)) return nobody;
      let shown = presented.get(socket);
      if (!shown) {
        const leaf = socket.getPeerX509Certificate();
        if (!leaf) return nobody;
        shown = { chain: chainOf(leaf), thumbprint: hash('sha256', leaf.raw, 'base64url') };
        presented.set(socket, shown);
      }
      try {
        const svid = await verify(shown);
        // INVARIANT: no rule is asked about our own trust domain: what its SVIDs may do ends with the agent's epoch, and with nothing else.
        const standing: Standing = svids.isOwn(svid.spiffeId)
          ? { principal: svids.principalOf(svid.spiffeId) }
          : standingOf(svid.spiffeId);
        if (standing.principal?.kind === 'agent') remember(socket, standing.principal.name);
        return { certificate: { thumbprint: shown.thumbprint, svid, ...standing } };
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.kind !== 'unauthenticated') throw error;
        return { problem: error.message };
      }
    },
    end(agent) {
      for (const socket of connections.get(agent) ?? []) {
        // Nothing that it asks meanwhile is granted.
        setTimeout(() => socket.destroy(), connectionLimits.lastWordsMs).unref();
      }
    },
    forget() {
      generation++;
    },
  };
}

function chainOf(leaf: X509Certificate): Buffer[] {
  const chain: Buffer[] = [];
  for (let next: X509Certificate | undefined = leaf; next && chain.length < MAX_CHAIN; next = next.issuerCertificate)
    chain.push(next.raw);
  return chain;
}
