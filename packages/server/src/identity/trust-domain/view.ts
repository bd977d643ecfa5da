import type { TrustDomainView } from '@gatehouse/protocol';
import type { SigningKeys } from '../keys/signing-keys.ts';
import type { Authorities } from './authorities.ts';
import type { SpiffeBundle } from './bundle.ts';
import type { ForeignState } from './federation.ts';

/** The trust domain as people see it. */
export function viewOf(of: {
  trustDomain: string;
  authorities: Authorities;
  keys: SigningKeys;
  bundle: SpiffeBundle;
  federated: ForeignState[];
}): TrustDomainView {
  return {
    name: of.trustDomain,
    sequence: of.bundle.sequence ?? 0,
    refreshHintSeconds: of.bundle.refreshHintSeconds,
    authorities: of.authorities.list().map((authority) => ({
      id: authority.id,
      kind: authority.kind,
      state: authority.state,
      subject: authority.certificate.subject.replaceAll('\n', ', '),
      issuer: authority.issuer,
      keyHeldHere: authority.key !== null,
      createdAt: authority.createdAt,
      signsFrom: authority.signsFrom,
      notAfter: authority.notAfter,
      certificate: authority.certificate.toString(),
    })),
    jwtKeys: of.keys.list().map(({ kid, ...rest }) => ({ id: kid, ...rest })),
    federated: of.federated,
  };
}
