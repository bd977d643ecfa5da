import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../../platform/index.ts';

const derive = promisify(pbkdf2);
const ITERATIONS = 4_096;

/**
 * A new password, and the verifier that PostgreSQL stores of it (RFC 5803: `SCRAM-SHA-256$ITERATIONS:SALT$StoredKey:ServerKey`). Only the
 * verifier is in the statement that makes the role, so that no log of statements on that server has the password.
 */
export async function newPassword(): Promise<{ password: Secret; verifier: string }> {
  const text = randomBytes(24).toString('base64url');
  const salt = randomBytes(16);
  const salted = await derive(text, salt, ITERATIONS, 32, 'sha256');
  const keyed = (label: string) => createHmac('sha256', salted).update(label).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return {
    password: new Secret(text),
    verifier: `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`,
  };
}
