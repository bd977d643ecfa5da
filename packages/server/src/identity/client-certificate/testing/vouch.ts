import { X509Certificate } from 'node:crypto';
import { type Clock, GatehouseError } from '../../../platform/index.ts';
import type { Registry } from '../../../registry/index.ts';
import { parseCompactJws } from '../../tokens/jws.ts';
import type { SvidVerifier } from '../svid-verifier.ts';
import type { Authority } from './authority.ts';

/** A trust domain that vouches for what one authority has signed. */
export function vouchFor({
  authority,
  registry,
  clock,
  trustDomain,
}: {
  authority: Authority;
  registry: Registry;
  clock: Clock;
  trustDomain: string;
}): SvidVerifier {
  const root = new X509Certificate(authority.root);
  const principalOf: SvidVerifier['principalOf'] = (spiffeId) => {
    const form = new RegExp(`^spiffe://${trustDomain}/env/([^/]+)/agent/([^/]+)(?:/task/([^/]+))?$`);
    const [, environment, name, task = null] = form.exec(spiffeId) ?? [];
    return environment && name ? { kind: 'agent', environment, name, task } : undefined;
  };
  return {
    async verifySvid(chain) {
      const [leaf, ...issuers] = chain.map((der) => new X509Certificate(der));
      if (!leaf) throw refused('there is none');
      let last = leaf;
      for (const next of [...issuers, root]) {
        if (!last.checkIssued(next) || !last.verify(next.publicKey))
          throw refused('no authority that is known here has signed it');
        last = next;
      }
      const [notBefore, notAfter] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
      if (notBefore > clock.now() + 60_000) throw refused('it is not valid yet');
      if (notAfter <= clock.now()) throw refused('it has expired');
      if (leaf.ca) throw refused('it is the certificate of an authority');
      const uris = (leaf.subjectAltName ?? '').split(', ').filter((name) => name.startsWith('URI:'));
      if (uris.length !== 1) throw refused('it does not have exactly one URI SAN');
      return { spiffeId: (uris[0] as string).slice(4), notAfter };
    },
    async verifyJwtSvid(token) {
      const { sub, aud, exp } = parseCompactJws(token, 8_192).payload;
      return { spiffeId: String(sub), notAfter: Number(exp) * 1_000, audience: [aud].flat().map(String) };
    },
    principalOf,
    async whyRefused({ spiffeId }) {
      const principal = principalOf(spiffeId);
      const agent = principal?.kind === 'agent' ? registry.snapshot().agents.get(principal.name) : undefined;
      return agent?.state === 'active' ? undefined : 'The agent is not active.';
    },
  };
}

const refused = (reason: string) =>
  new GatehouseError('unauthenticated', 'svid.refused', `The X.509-SVID is refused: ${reason}.`);
