import { email as address, type IdentityProviderManifest, type Role } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../../platform/index.ts';
import type { Provision, Snapshot } from '../../../registry/index.ts';
import type { DatabaseTransaction, RecordChange } from '../../../storage/index.ts';
import { knownAddress } from '../known-address.ts';
import { companySignInLimits as limits } from './limits.ts';

/** What a provider has proven about somebody: the claims of a verified ID token, completed from its UserInfo. */
export type Claims = Record<string, unknown> & { iss: string; sub: string };

interface KnownDependencies {
  registry: { snapshot(): Pick<Snapshot, 'people' | 'directory'> };
  recordChange: RecordChange;
  clock: Clock;
}

export interface WhoDependencies extends KnownDependencies {
  registry: KnownDependencies['registry'] & {
    provisionPerson(
      transaction: DatabaseTransaction,
      email: string,
      provision: Provision,
      by: string,
    ): Promise<boolean>;
  };
}

/**
 * Which person this is. An account at a provider is known by issuer and subject from its first sign-in on (OIDC Core §5.7): what
 * address it has later on says nothing, so that nobody becomes somebody else by being given their address. The first time a verified
 * address decides, and only for who is declared, provisioned, or made here by a group's roles. Links, and records that it did. With a
 * `refusal` what is stored stands: somebody whose groups have no roles any more has none here from now on.
 */
export async function whoIs(
  deps: WhoDependencies,
  transaction: DatabaseTransaction,
  provider: IdentityProviderManifest,
  claims: Claims,
): Promise<{ email: string; refusal?: GatehouseError }> {
  const { registry, clock } = deps;
  const { email, isLinked } = await find(deps, transaction, provider, claims);
  const person = registry.snapshot().directory.get(email);
  if (person?.departed) throw unknown(provider, email);
  const isMade = !person || person.source === `oidc/${provider.name}`;
  if (isMade) {
    const provision = provisionOf(provider, claims, email);
    if (!provider.provision) throw unknown(provider, email);
    if (provision.roles.length > 0 || person)
      await registry.provisionPerson(transaction, email, provision, `oidc/${provider.name}`);
    if (provision.roles.length === 0) return { email, refusal: noGroup(provider) };
  }
  if (!isLinked) await link(deps, transaction, provider, claims, email);
  await transaction
    .updateTable('person_identities')
    .set({ signed_in_at: clock.now(), provider_session: typeof claims.sid === 'string' ? claims.sid : null })
    .where('issuer', '=', claims.iss)
    .where('subject', '=', claims.sub)
    .execute();
  return { email };
}

/**
 * The same, where not the person but an agent has brought what the provider says: by the same link, or the same verified address; but
 * nobody is made, and nobody's roles change.
 */
export async function whoIsKnown(
  deps: KnownDependencies,
  transaction: DatabaseTransaction,
  provider: IdentityProviderManifest,
  claims: Claims,
): Promise<string> {
  const { email, isLinked } = await find(deps, transaction, provider, claims);
  if (!deps.registry.snapshot().people.has(email)) throw unknown(provider, email);
  if (!isLinked) await link(deps, transaction, provider, claims, email);
  return email;
}

async function find(
  { registry, clock }: KnownDependencies,
  transaction: DatabaseTransaction,
  provider: IdentityProviderManifest,
  claims: Claims,
): Promise<{ email: string; isLinked: boolean }> {
  const known = await transaction
    .updateTable('person_identities')
    .set({ last_used_at: clock.now() })
    .where('issuer', '=', claims.iss)
    .where('subject', '=', claims.sub)
    .returning('person')
    .executeTakeFirst();
  const email = known?.person ?? knownAddress(registry.snapshot().directory, verifiedEmail(provider, claims));
  return { email, isLinked: known !== undefined };
}

async function link(
  { recordChange, clock }: KnownDependencies,
  transaction: DatabaseTransaction,
  provider: IdentityProviderManifest,
  claims: Claims,
  email: string,
): Promise<void> {
  const now = clock.now();
  const other = await transaction
    .selectFrom('person_identities')
    .select('subject')
    .where('issuer', '=', claims.iss)
    .where('person', '=', email)
    .executeTakeFirst();
  if (other)
    throw new GatehouseError(
      'forbidden',
      'identity.taken',
      `${email} is linked to another account of ${provider.displayName}. If the address was given to somebody new, an admin offboards the one before first.`,
    );
  await transaction
    .insertInto('person_identities')
    .values({
      issuer: claims.iss,
      subject: claims.sub,
      person: email,
      provider: provider.name,
      linked_at: now,
      last_used_at: now,
      signed_in_at: null,
      provider_session: null,
    })
    .execute();
  await recordChange(transaction, {
    operation: 'person.link',
    by: `person:${email}`,
    changes: [`linked to ${claims.sub.slice(0, 100)} at ${claims.iss}`],
  });
}

/** The address that the provider vouches for. Throws where it does not, or speaks for a domain that is not its own. */
function verifiedEmail(provider: IdentityProviderManifest, claims: Claims): string {
  const email = claims[provider.emailClaim];
  // As in manifests: none but ASCII, of which no other letter is folded into one (U+212A would be a "k"), and none looks like one.
  if (typeof email !== 'string' || !address.safeParse(email).success)
    throw new GatehouseError(
      'forbidden',
      'identity.no-email',
      `${provider.displayName} did not say which address you have, in a form that is known here (claim "${provider.emailClaim}"). Ask an admin.`,
    );
  if (claims.email_verified !== true && !provider.emailTrusted)
    throw new GatehouseError(
      'forbidden',
      'identity.unverified-email',
      `${provider.displayName} has not verified the address ${email}. Verify it there, then sign in again.`,
    );
  const domain = email.slice(email.lastIndexOf('@') + 1).toLowerCase();
  if (provider.domains.length > 0 && !provider.domains.some((each) => each.toLowerCase() === domain))
    throw new GatehouseError(
      'forbidden',
      'identity.domain',
      `${provider.displayName} does not speak for addresses of ${domain} here.`,
    );
  return email;
}

function provisionOf(provider: IdentityProviderManifest, claims: Claims, email: string): Provision {
  const given = provider.groupsClaim === undefined ? [] : claims[provider.groupsClaim];
  const groups = (Array.isArray(given) ? given : [])
    .filter((each): each is string => typeof each === 'string')
    .slice(0, limits.groups);
  const roles = new Set<Role>();
  for (const group of groups)
    if (Object.hasOwn(provider.roles, group)) for (const role of provider.roles[group] ?? []) roles.add(role);
  const name = typeof claims.name === 'string' ? claims.name.trim().slice(0, 100) : '';
  return {
    by: `oidc/${provider.name}`,
    id: claims.sub,
    displayName: name === '' ? email : name,
    groups: groups.filter((group) => Object.hasOwn(provider.roles, group)).sort(),
    roles: [...roles].sort(),
    successor: null,
  };
}

const unknown = (provider: IdentityProviderManifest, email: string) =>
  new GatehouseError(
    'forbidden',
    'identity.unknown',
    `${provider.displayName} says that you are ${email}, who is not known here. Ask an admin to add you.`,
  );

const noGroup = (provider: IdentityProviderManifest) =>
  new GatehouseError(
    'forbidden',
    'identity.no-group',
    `None of your groups at ${provider.displayName} has a role here. Ask an admin.`,
  );
