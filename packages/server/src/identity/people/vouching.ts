import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import type { PeopleDirectory } from './types.ts';

const HOUR_MS = 3_600_000;

/**
 * Until when this person may be signed in. Whom only an identity provider knows is somebody for as long as it says so, and nobody else
 * says when they have left: their passkey is good for `signInAgainHours` after a sign-in there, and no session lasts longer. Throws
 * when that has passed, or the provider has logged them out since.
 */
export async function vouchedUntil(
  { registry, clock }: { registry: PeopleDirectory; clock: Clock },
  transaction: DatabaseTransaction,
  email: string,
): Promise<number> {
  const { directory, identityProviders } = registry.snapshot();
  const [kind, name = ''] = directory.get(email)?.source.split('/') ?? [];
  if (kind !== 'oidc') return Number.POSITIVE_INFINITY;
  const provider = identityProviders.get(name);
  if (!provider)
    throw new GatehouseError(
      'forbidden',
      'session.provider-gone',
      `You are known here only from the identity provider "${name}", which is gone. Ask an admin to declare you (kind: Person).`,
    );
  const vouched = await transaction
    .selectFrom('person_identities')
    .select('signed_in_at')
    .where('person', '=', email)
    .where('provider', '=', name)
    .orderBy('signed_in_at', 'desc')
    .where('signed_in_at', 'is not', null)
    .executeTakeFirst();
  const until = (vouched?.signed_in_at ?? 0) + provider.signInAgainHours * HOUR_MS;
  if (until > clock.now()) return until;
  throw new GatehouseError(
    'forbidden',
    'session.company-sign-in',
    `Sign in with ${provider.displayName} first: your passkey is good for ${provider.signInAgainHours} hours after that, and until ${provider.displayName} signs you out.`,
  );
}
