import type {
  Approval,
  BreakGlass,
  ConsentAnswer,
  Deputy,
  EndorsedValue,
  GrantRequest,
  NewDeputy,
  ProposalView,
  SecondYesStatement,
  SessionView,
  SignedConsent,
} from '@gatehouse/protocol';
import {
  browserSupportsWebAuthn,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  startAuthentication,
  startRegistration,
  WebAuthnError,
} from '@simplewebauthn/browser';
import {
  breakGlassChallenge,
  canonicalJson,
  confirmationChallenge,
  consentChallenge,
  deputyChallenge,
  deputyshipChallenge,
  listOf,
  proposalChallenge,
  secondYesChallenge,
  signsExactly,
  signsExactlyTheseOf,
} from '../lib/exact-action.ts';
import { isAsWanted } from '../lib/grant-request.ts';
import { call } from './client.ts';

/** A ceremony that did not end with a signature, in words for the person at the keyboard. */
export class PasskeyError extends Error {
  override readonly name = 'PasskeyError';
}

export async function signInWithPasskey(): Promise<SessionView> {
  const { options } = await call('POST /signin/passkey/options');
  const assertion = await ceremony(() =>
    startAuthentication({ optionsJSON: options as PublicKeyCredentialRequestOptionsJSON }),
  );
  return call('POST /signin/passkey', { body: { assertion: { ...assertion } } });
}

export async function enrolPasskey(name: string): Promise<SessionView> {
  const { options } = await call('POST /passkeys/options');
  const attestation = await ceremony(() =>
    startRegistration({ optionsJSON: options as PublicKeyCredentialCreationOptionsJSON }),
  );
  return call('POST /passkeys', { body: { name, attestation: { ...attestation } } });
}

/**
 * Signs one approval, as shown: refuses to touch the passkey when what the server asks to be signed is not the action on the
 * screen (law 4).
 */
export async function approveWithPasskey(
  shown: Approval,
  endorse: EndorsedValue[] = [],
  more?: GrantRequest,
): Promise<Approval> {
  const params = { id: shown.id };
  const asked = await call('POST /approvals/:id/options', { params, body: { endorse, ...(more && { grant: more }) } });
  const optionsJSON = asked.options as PublicKeyCredentialRequestOptionsJSON;
  const { grant } = asked;
  if (!isAsWanted(grant, more) || !(await signsExactly(shown, optionsJSON.challenge, endorse, grant)))
    throw somethingElse('the action shown here');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  const body = { assertion: { ...assertion }, endorse, ...(grant && { grant }) };
  return call('POST /approvals/:id/approve', { params, body });
}

/** Names somebody who says yes in one's place: the passkey signs who, and how long. */
export async function nameDeputyWithPasskey(wanted: NewDeputy): Promise<Deputy> {
  const { options } = await call('POST /deputies/options', { body: wanted });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  const { email } = (await call('GET /session')).person;
  if ((await deputyChallenge(email, wanted)) !== optionsJSON.challenge) throw somethingElse('what you have entered');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  return call('POST /deputies', { body: { ...wanted, assertion: { ...assertion } } });
}

/** Confirms what an admin has proposed, as shown. */
export async function confirmDeputyWithPasskey(shown: Deputy): Promise<Deputy> {
  const params = { id: shown.id };
  const { options } = await call('POST /deputies/:id/options', { params });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  if ((await deputyshipChallenge(shown)) !== optionsJSON.challenge) throw somethingElse('the deputy shown here');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  return call('POST /deputies/:id/confirm', { params, body: { assertion: { ...assertion } } });
}

/** Signs a list of one kind, as shown: the passkey isn't touched when the server asks for a signature over any other. */
export async function approveListWithPasskey(shown: readonly Approval[]): Promise<Approval[]> {
  const approvals = listOf(shown);
  const { options } = await call('POST /approval-lists/options', { body: { approvals } });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  if (!(await signsExactlyTheseOf(shown, optionsJSON.challenge))) throw somethingElse('the list shown here');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  const body = { approvals, assertion: { ...assertion } };
  return (await call('POST /approval-lists/approve', { body })).items;
}

/** A yes that nobody's browser was opened for: the passkey signs this request and the whole answer. */
export async function consentWithPasskey(id: string, answer: ConsentAnswer): Promise<{ redirect: string | null }> {
  const assertion = await signConsent(id, answer);
  return call('POST /consents/:id/approve', { params: { id }, body: { ...answer, assertion } });
}

/** Lets the command line in: the passkey signs this request with exactly what was shown for it. */
export async function signInWithAssertion(id: string, digest: string): Promise<{ ok: true }> {
  const assertion = await signConsent(id, { digest });
  return call('POST /consents/:id/sign-in', { params: { id }, body: { digest, assertion } });
}

async function signConsent(id: string, answer: SignedConsent): Promise<Record<string, unknown>> {
  const { options } = await call('POST /consents/:id/options', { params: { id }, body: answer });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  if (optionsJSON.challenge !== (await consentChallenge(id, answer))) throw somethingElse('the answer given here');
  return { ...(await ceremony(() => startAuthentication({ optionsJSON }))) };
}

const somethingElse = (than: string) =>
  new PasskeyError(
    `The server asked for a signature over something else than ${than}, so nothing was signed. Reload; if it happens again, tell your security team.`,
  );

/** Confirms what the command line asks for: the passkey signs this confirmation with exactly what was shown. */
export async function confirmWithAssertion(id: string, digest: string): Promise<unknown> {
  const params = { id };
  const { options } = await call('POST /confirmations/:id/options', { params, body: { digest } });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  if (optionsJSON.challenge !== (await confirmationChallenge(id, digest))) throw somethingElse('what is shown here');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  return call('POST /confirmations/:id/confirm', { params, body: { digest, assertion: { ...assertion } } });
}

/** Breaks the glass: the passkey signs exactly what is shown, the second of two people also with whom and until when. */
export async function breakGlassWithPasskey(glass: BreakGlass): Promise<BreakGlass> {
  const params = { id: glass.id };
  const { options, until } = await call('POST /break-glass/:id/options', { params });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  const isShort = until === null || until <= Date.now() + glass.seconds * 1_000 + 60_000;
  if (!isShort || optionsJSON.challenge !== (await breakGlassChallenge(glass, until)))
    throw somethingElse('what is shown here');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  return call('POST /break-glass/:id/sign', { params, body: { assertion: { ...assertion }, until } });
}

/** Ships a change of the policies: the passkey signs its number with the digest of exactly what was shown. */
export async function shipWithPasskey(number: number, digest: string): Promise<ProposalView> {
  const params = { number };
  const { options } = await call('POST /policy/proposals/:number/options', { params, body: { digest } });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  if (optionsJSON.challenge !== (await proposalChallenge(number, digest))) throw somethingElse('the change shown here');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  return call('POST /policy/proposals/:number/ship', { params, body: { digest, assertion: { ...assertion } } });
}

/** Agrees to what somebody else has asked for: the passkey signs exactly what is shown. */
export async function agreeWithPasskey(shown: SecondYesStatement): Promise<SecondYesAnswer> {
  const { act, id } = shown;
  const { nonce, statement, options } = await call('POST /second-yes/options', { body: { act, id } });
  const optionsJSON = options as PublicKeyCredentialRequestOptionsJSON;
  if (optionsJSON.challenge !== (await secondYesChallenge(statement, nonce))) throw somethingElse('what is shown here');
  if (canonicalJson(statement) !== canonicalJson(shown))
    throw new PasskeyError('This has changed since it was shown to you. Reload, look at it again, and then answer.');
  const assertion = await ceremony(() => startAuthentication({ optionsJSON }));
  return { nonce, assertion: { ...assertion } };
}

export interface SecondYesAnswer {
  nonce: string;
  assertion: Record<string, unknown>;
}

async function ceremony<T>(run: () => Promise<T>): Promise<T> {
  if (!browserSupportsWebAuthn()) {
    throw new PasskeyError(
      'This browser can’t use passkeys here. Open the console over https, or on http://localhost, in a current browser.',
    );
  }
  try {
    return await run();
  } catch (error) {
    throw new PasskeyError(wordsFor(error), { cause: error });
  }
}

function wordsFor(error: unknown): string {
  if (error instanceof WebAuthnError && error.code === 'ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED')
    return 'This device already holds a passkey of yours. Use that one, or choose another device.';
  if (error instanceof WebAuthnError && error.code === 'ERROR_AUTHENTICATOR_MISSING_USER_VERIFICATION_SUPPORT')
    return 'This authenticator can’t check who you are. Use one with a PIN or biometry.';
  if (error instanceof WebAuthnError && (error.code === 'ERROR_INVALID_DOMAIN' || error.code === 'ERROR_INVALID_RP_ID'))
    return `Passkeys of this server don’t work at ${location.host}. Open the console at the address that the server prints at start.`;
  if (error instanceof Error && error.name === 'NotAllowedError')
    return 'No passkey was used: the prompt was closed, timed out, or found no passkey for this site. Try again.';
  return `The passkey prompt failed: ${error instanceof Error ? error.message : String(error)}`;
}
