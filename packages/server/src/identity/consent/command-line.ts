import { type ConsentClient, commandLineHost, type SignInAnswer, type SignInRequest } from '@gatehouse/protocol';
import { digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import type { People, SignedInPerson, VerifiedAssertion } from '../people/index.ts';
import { sessionLimits } from '../people/limits.ts';
import { checkProof } from './proof.ts';
import type { ConsentRequest } from './requests.ts';

/**
 * What a person says yes to when the command line asks for a session of theirs (RFC 8628), in place of an agent's task. The yes is as
 * fresh as one to an action: whoever finds a browser open must not take a session of its owner home.
 */
export interface SignInGrant {
  person: string;
  /** The session that it was granted in: it has to be live when the command line fetches its own. */
  grantedIn: string;
  /** Thumbprint of the key that the session will be bound to. */
  dpopKey: string;
  userAgent: string;
}

/** The grant in a `Grant` artifact; undefined for one that is for an agent. */
export function signInOf(grant: { rar?: unknown } | undefined): SignInGrant | undefined {
  const [first] = Array.isArray(grant?.rar) ? grant.rar : [];
  return (first as { signIn?: SignInGrant } | undefined)?.signIn;
}

/** What the authorization server noted of whoever began the request. */
interface DeviceInfo {
  address: string | null;
  userAgent: string;
}

function deviceOf({ payload }: ConsentRequest): DeviceInfo {
  const { ip, ua } = (payload.deviceInfo ?? {}) as { ip?: unknown; ua?: unknown };
  return { address: typeof ip === 'string' ? ip : null, userAgent: typeof ua === 'string' ? ua.slice(0, 300) : '' };
}

export function isSignIn(request: ConsentRequest, client: ConsentClient): boolean {
  return request.kind === 'device' && client.known === 'command-line' && request.dpopKey !== null;
}

/** `browserAddress`: where the person's own request comes from. */
export async function describeSignIn(
  people: Pick<People, 'presence'>,
  request: ConsentRequest,
  person: SignedInPerson,
  browserAddress: string | null,
): Promise<SignInRequest> {
  const { address, userAgent } = deviceOf(request);
  const { email, displayName, roles } = person;
  const shown = {
    host: commandLineHost(userAgent) ?? null,
    address,
    person: { email, displayName, roles },
    ttlSeconds: sessionLimits.sessionTtlMs / 1_000,
  };
  return {
    ...shown,
    sameAddress: address !== null && address === browserAddress,
    proof: await people.presence(person),
    digest: digestJson({ v: 1, id: request.id, dpopKey: request.dpopKey, userAgent, shown }),
  };
}

/** Checks the yes; throws where it is not for what was shown, or not said by whom it should be, now. */
export async function checkSignIn(
  shown: SignInRequest,
  answer: SignInAnswer,
  verify: (assertion: Json) => Promise<VerifiedAssertion>,
): Promise<VerifiedAssertion | undefined> {
  if (shown.digest !== answer.digest)
    throw new GatehouseError(
      'conflict',
      'consent.changed',
      'What this sign-in is for has changed since it was shown to you. Look at it again, then answer.',
    );
  return checkProof('consent', shown.proof, answer.assertion, verify);
}

export function signInGrant(request: ConsentRequest, person: SignedInPerson): SignInGrant {
  return {
    person: person.email,
    grantedIn: person.session,
    dpopKey: request.dpopKey as string,
    userAgent: deviceOf(request).userAgent,
  };
}

/** For the record. */
export function signInWords({ host, address }: SignInRequest): string[] {
  return [
    'a session of the command line, restricted: never to approve',
    `calls itself ${host ?? '(no name)'}, asked from ${address ?? '(unknown)'}`,
  ];
}
