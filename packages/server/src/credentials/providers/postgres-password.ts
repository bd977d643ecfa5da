import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../../platform/index.ts';

const derive = promisify(pbkdf2);
const ITERATIONS = 4_096;

/** 192 random bits, in characters that no statement and no address has to escape. */
export const randomPassword = (): Secret => new Secret(randomBytes(24).toString('base64url'));

/**
 * The verifier that PostgreSQL stores of a password (RFC 5803: `SCRAM-SHA-256$ITERATIONS:SALT$StoredKey:ServerKey`). Only the
 * verifier is in the statement that sets it, so that no log of statements on that server has the password.
 */
export async function verifierOf(password: Secret): Promise<string> {
  const salt = randomBytes(16);
  const salted = await derive(password.reveal(), salt, ITERATIONS, 32, 'sha256');
  const keyed = (label: string) => createHmac('sha256', salted).update(label).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
