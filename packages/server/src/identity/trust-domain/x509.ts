/**
 * @peculiar/x509, loaded when a certificate is made or verified: it takes half a second to import, which a start does not wait for.
 * Its container needs the reflection polyfill to be there first.
 */
export type X509 = typeof import('@peculiar/x509');

let loading: Promise<X509> | undefined;

export function loadX509(): Promise<X509> {
  loading ??= (async () => {
    await import('reflect-metadata');
    return import('@peculiar/x509');
  })();
  return loading;
}

/** The one signature algorithm of our authorities and of the keys in CSRs. */
export const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Throws when the bytes are no certificate. */
export const parseCertificate = (x509: X509, der: Uint8Array) => new x509.X509Certificate(new Uint8Array(der));
