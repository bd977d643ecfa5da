import type { Secret } from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';
import { neverReached } from './never-reached.ts';

/** The new password of the user that a provider signs in as: from when it is kept until it is the one in use. */
export interface NewPassword {
  /** Null: none is being put in place. */
  pending(): Promise<Secret | null>;
  /** It works, so it is the one in use. */
  settle(next: Secret): Promise<void>;
}

interface SignIn<T> {
  password(): Promise<Secret>;
  newPassword: NewPassword | undefined;
  connect(password: Secret): Promise<T>;
  isRefused(error: unknown): boolean;
  /** Resolves when it is accepted. */
  tryOut(password: Secret): Promise<void>;
}

/**
 * Signs in with the password in use. Whoever put a new one in place may have died before or after the other system had it: where the one in use is
 * refused, the new one is tried, and settles it. Throws `NotMade` where nobody is there: whatever it was for has not begun.
 */
export async function signIn<T>(how: SignIn<T>): Promise<T> {
  try {
    return await signedIn(how);
  } catch (cause) {
    if (!neverReached(cause)) throw cause;
    const { message, errors: [first] = [] } = cause as Error & { errors?: Error[] };
    throw new NotMade(
      'upstream',
      'provider.unreachable',
      `Its server can't be reached, and nothing was sent: ${message || first?.message}. Look at the address in the provider's manifest, and whether the server is up.`,
      { cause },
    );
  }
}

async function signedIn<T>({ password, newPassword, connect, isRefused, tryOut }: SignIn<T>): Promise<T> {
  const used = await password();
  try {
    return await connect(used);
  } catch (error) {
    if (!newPassword || !isRefused(error)) throw error;
    const next = await newPassword.pending();
    if (next !== null && (await isAccepted(next))) await newPassword.settle(next);
    // Settled here, or by another replica meanwhile.
    const now = await password();
    if (now.reveal() === used.reveal()) throw error;
    return connect(now);
  }

  async function isAccepted(next: Secret): Promise<boolean> {
    try {
      await tryOut(next);
      return true;
    } catch (error) {
      if (isRefused(error)) return false;
      throw error;
    }
  }
}
