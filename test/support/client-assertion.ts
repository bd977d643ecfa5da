import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';

/** What an agent proves itself with at the token endpoint (RFC 7523 §2.2), by a foreign library; `audience` is the public URL. */
export const clientAssertion = (agent: string, { privateKey }: { privateKey: CryptoKey }, audience: string) =>
  new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(agent)
    .setSubject(agent)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(privateKey);
