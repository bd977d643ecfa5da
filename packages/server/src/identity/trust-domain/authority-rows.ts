import { createPrivateKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import { type Clock, Secret } from '../../platform/index.ts';
import type { DatabaseTransaction, Sealer } from '../../storage/index.ts';
import type { AuthorityCertificate } from './authority-certificates.ts';
import type { LeafIssuer } from './leaf.ts';

/** A root or intermediate, as its row of `signing_keys` has it. */
export interface Authority {
  /** SHA-256 of the certificate, base64url. */
  id: string;
  kind: 'root' | 'intermediate';
  certificate: X509Certificate;
  der: Buffer;
  /** Null for a root that is held elsewhere. */
  key: KeyObject | null;
  leafIssuer: LeafIssuer | null;
  /** The root that has signed an intermediate. */
  issuer: string | null;
  createdAt: number;
  signsFrom: number;
  notAfter: number;
}

/** Clocks of verifiers may be behind. */
export const BACKDATE_MS = 5 * 60_000;

export const sealContext = (kid: string) => `signing-key:${kid}`;

/** What is sealed of an authority. */
export interface Sealed {
  certificate: string;
  key: string | null;
  issuer: string | null;
  signsFrom: number;
  name: string;
  keyId: string;
}

export interface NewAuthority {
  kind: 'root' | 'intermediate';
  certificate: AuthorityCertificate;
  key: KeyObject | null;
  issuer: string | null;
  signsFrom: number;
}

export async function insertAuthority(
  { transaction, sealer, clock }: { transaction: DatabaseTransaction; sealer: Sealer; clock: Clock },
  { kind, certificate, key, issuer, signsFrom }: NewAuthority,
): Promise<string> {
  const kid = idOf(certificate.der);
  const sealed: Sealed = {
    certificate: certificate.der.toString('base64'),
    key: key?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? null,
    issuer,
    signsFrom,
    name: certificate.name.toString('base64'),
    keyId: certificate.keyId.toString('base64'),
  };
  const values = {
    kid,
    purpose: `x509-${kind}` as const,
    algorithm: 'ES256',
    public_jwk: JSON.stringify({ certificate: sealed.certificate }),
    sealed_private: sealer.seal(new Secret(JSON.stringify(sealed)), sealContext(kid)),
    state: key ? 'held' : 'external',
    created_at: clock.now(),
  };
  await transaction
    .insertInto('signing_keys')
    .values(values)
    .onConflict((conflict) => conflict.column('kid').doNothing())
    .execute();
  return kid;
}

interface Row {
  kid: string;
  purpose: string;
  sealed_private: Uint8Array;
  created_at: number;
}

/** INVARIANT: whom we trust comes out of what was sealed, so that editing the table makes nobody an authority. */
export function openAuthority(row: Row, sealer: Sealer): Authority {
  const sealed = JSON.parse(sealer.open(row.sealed_private, sealContext(row.kid)).reveal()) as Sealed;
  const der = Buffer.from(sealed.certificate, 'base64');
  if (idOf(der) !== row.kid) throw new Error(`X.509 authority ${row.kid} is sealed under another's id`);
  const certificate = new X509Certificate(der);
  const key = sealed.key === null ? null : createPrivateKey(sealed.key);
  const isRoot = sealed.issuer === null;
  return {
    id: row.kid,
    kind: isRoot ? 'root' : 'intermediate',
    certificate,
    der,
    key,
    leafIssuer:
      key && !isRoot
        ? { key, name: Buffer.from(sealed.name, 'base64'), keyId: Buffer.from(sealed.keyId, 'base64') }
        : null,
    issuer: sealed.issuer,
    createdAt: row.created_at,
    signsFrom: sealed.signsFrom,
    notAfter: certificate.validToDate.getTime(),
  };
}

export const idOf = (der: Uint8Array) => hash('sha256', der, 'base64url');
