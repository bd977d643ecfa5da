export * from './company-sign-in/index.ts';
export { noteKeysOfBefore } from './enrolled-keys.ts';
export { passkeyLimits, pushLimits, sessionLimits } from './limits.ts';
export { createPeople, type PeopleDependencies } from './people.ts';
export { createPushSubscriptions, type PushSubscriptions, type PushTarget } from './push-subscriptions.ts';
export { relyingPartyOf } from './relying-party.ts';
export { checkSameOrigin, type RequestHeaders } from './same-origin.ts';
export * from './scim/index.ts';
export { sealPasskeysOfBefore } from './seals.ts';
export {
  createSecondYeses,
  requireAsAsked,
  type SecondYes,
  type SecondYesAnswer,
  type SecondYeses,
  sealAsked,
} from './second-yes.ts';
export type {
  MailLinks,
  NewSession,
  Passkey,
  PasskeyVerification,
  People,
  PeopleDirectory,
  ProveKey,
  SessionSummary,
  SignedInPerson,
  VerifiedAssertion,
} from './types.ts';
