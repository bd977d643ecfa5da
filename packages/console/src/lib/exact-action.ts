import type {
  Approval,
  BreakGlass,
  Deputy,
  EndorsedValue,
  GrantTerms,
  NewDeputy,
  SecondYesStatement,
  SignedConsent,
} from '@gatehouse/protocol';
import { secondYesSigned } from '@gatehouse/protocol/second-yes-statement';

const SALT_BYTES = 16;

/**
 * What an approval binds, computed again from what is shown: the digest over the action, and the challenge that a passkey signs for
 * it (see `Approval.digest`). A page that shows one action can so not be made to sign another.
 */
export async function actionDigest(shown: Approval): Promise<string> {
  const {
    agent,
    agentEpoch,
    task,
    operation,
    tool,
    toolDefinition,
    arguments: args,
    decision,
    delegated,
    repeats,
  } = shown;
  const { rules = [], argumentsSalt: salt, argumentsDigest: left } = shown;
  if (salt !== undefined || left !== undefined) {
    const whenErased = isErased(shown) ? left : 'not of what is shown';
    const argumentsDigest = salt === undefined ? whenErased : await saltedDigest(args, salt);
    const own = { agent, agentEpoch, task, operation, tool, toolDefinition, argumentsDigest };
    const bound = { policyVersion: decision.policyVersion, delegated, rules, repeats: repeats ?? null };
    return `sha256-${hex(await sha256(canonicalJson({ v: 5, ...own, ...bound })))}`;
  }
  const more =
    repeats !== undefined
      ? { v: 4, delegated, rules, repeats }
      : rules.length > 0
        ? { v: 3, delegated, rules }
        : delegated
          ? { v: 2, delegated }
          : { v: 1 };
  const subject = {
    ...more,
    agent,
    agentEpoch,
    task,
    operation,
    tool,
    toolDefinition,
    arguments: args,
    policyVersion: decision.policyVersion,
  };
  return `sha256-${hex(await sha256(canonicalJson(subject)))}`;
}

/** What is left of them is their digest, which binds nothing that a page could show. */
const isErased = ({ arguments: args, state }: Approval) => args === null && state !== 'pending';

/** A digest that came along instead of a salt would be signed without a look at the arguments. */
const isShownWhole = ({ argumentsSalt: salt, argumentsDigest: left }: Approval) =>
  salt !== undefined || left === undefined;

/** Of the arguments shown, with the salt that the records of the action have for them; of one length, so that it is read in one way. */
async function saltedDigest(args: unknown, salt: string): Promise<string> {
  const bytes = Uint8Array.from(atob(salt.replaceAll('-', '+').replaceAll('_', '/')), (each) => each.charCodeAt(0));
  if (bytes.length !== SALT_BYTES) return 'not a salt';
  const text = new TextEncoder().encode(canonicalJson(args));
  const both = new Uint8Array(bytes.length + text.length);
  both.set(bytes);
  both.set(text, bytes.length);
  return `sha256-${hex(new Uint8Array(await crypto.subtle.digest('SHA-256', both)))}`;
}

/** Whether `challenge` (base64url) is the one for this approval of exactly the action shown, with these values endorsed and more calls granted. */
export async function signsExactly(
  shown: Approval,
  challenge: string,
  endorse: readonly EndorsedValue[] = [],
  grant: GrantTerms | null = null,
): Promise<boolean> {
  const digest = await actionDigest(shown);
  if (digest !== shown.digest || !isShownWhole(shown)) return false;
  const signed = { approval: shown.id, digest, ...(endorse.length > 0 && { endorse }) };
  const what = grant ? { v: 4, ...signed, grant } : { v: endorse.length > 0 ? 2 : 1, ...signed };
  return base64url(await sha256(canonicalJson(what))) === challenge;
}

/** Whether `challenge` is the one for exactly the actions shown, each with the digest of what is on the screen, and for no other. */
export async function signsExactlyTheseOf(shown: readonly Approval[], challenge: string): Promise<boolean> {
  const digests = await Promise.all(shown.map(actionDigest));
  if (shown.some((each, index) => each.digest !== digests[index] || !isShownWhole(each))) return false;
  const text = canonicalJson({ v: 3, approvals: listOf(shown) });
  return base64url(await sha256(text)) === challenge;
}

/** By id, as it is signed. */
export const listOf = (shown: readonly Approval[]) =>
  shown.map(({ id, digest }) => ({ approval: id, digest })).sort((a, b) => (a.approval < b.approval ? -1 : 1));

/** What a passkey signs for this answer to a request for consent. */
export async function consentChallenge(id: string, answer: SignedConsent): Promise<string> {
  return base64url(await sha256(canonicalJson({ v: 1, consent: id, ...answer })));
}

/** What a passkey signs for what the command line asks for, as shown. */
export async function confirmationChallenge(id: string, digest: string): Promise<string> {
  return base64url(await sha256(canonicalJson({ v: 1, confirmation: id, digest })));
}

/** What a passkey signs to name a deputy. */
export async function deputyChallenge(person: string, deputy: NewDeputy): Promise<string> {
  return base64url(await sha256(canonicalJson({ v: 1, deputy: { person, ...deputy } })));
}

/** What a passkey signs to confirm a deputy that an admin has proposed. */
export async function deputyshipChallenge(shown: Deputy): Promise<string> {
  const { id, person, deputy, from, until, reason, madeBy } = shown;
  return base64url(
    await sha256(canonicalJson({ v: 2, deputyship: { id, person, deputy, from, until, reason, madeBy } })),
  );
}

/** What a passkey signs to break the glass: the first of two people what was asked, the second also with whom and until when. */
export async function breakGlassChallenge(glass: BreakGlass, until: number | null): Promise<string> {
  const { id, agent, agentEpoch, task, tools, incident, reason, seconds, requestedBy, requestedAt } = glass;
  const subject = { id, agent, agentEpoch, task, tools, incident, reason, seconds, requestedBy, requestedAt };
  const second = until === null ? {} : { first: glass.firstBy, until };
  return base64url(await sha256(canonicalJson({ v: 1, breakGlass: subject, ...second })));
}

/** What a passkey signs to ship a change of the policies, as shown. */
export async function proposalChallenge(number: number, digest: string): Promise<string> {
  return base64url(await sha256(canonicalJson({ v: 1, policyProposal: number, digest })));
}

/** What a passkey signs to agree to what somebody else has asked for, as shown. */
export async function secondYesChallenge(statement: SecondYesStatement, nonce: string): Promise<string> {
  return base64url(await sha256(canonicalJson(secondYesSigned(statement, nonce))));
}

/** RFC 8785. JavaScript's own numbers and strings are its notation; members are ordered by UTF-16 code units. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}
