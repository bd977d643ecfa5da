import type { SignInRequest } from '@gatehouse/protocol';
import { GatehouseError, type Json } from '../../platform/index.ts';
import { sessionLimits, type VerifiedAssertion } from '../people/index.ts';

/**
 * The proof that a yes is said by its person, now: their passkey signed exactly this, or, for who has none, the company's provider vouched
 * for this session just before. `of` names what is answered, in codes and addresses.
 */
export async function checkProof(
  of: 'consent' | 'confirmation',
  proof: SignInRequest['proof'],
  assertion: Record<string, unknown> | undefined,
  verify: (assertion: Json) => Promise<VerifiedAssertion>,
): Promise<VerifiedAssertion | undefined> {
  if (proof.by === 'passkey') {
    if (assertion) return verify(assertion as Json);
    throw new GatehouseError(
      'bad-request',
      `${of}.passkey-needed`,
      `This needs your passkey: ask POST /${of}s/:id/options for the challenge.`,
    );
  }
  if (proof.fresh) return undefined;
  throw new GatehouseError(
    'forbidden',
    `${of}.sign-in-again`,
    `Sign in with ${proof.provider} again, then answer within ${sessionLimits.freshMs / 60_000} minutes.`,
  );
}
