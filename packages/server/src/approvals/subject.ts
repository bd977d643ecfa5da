import { createHash } from 'node:crypto';
import type { AskedRule, EndorsedValue, GrantTerms } from '@gatehouse/protocol';
import { canonicalJson, digestJson, GatehouseError, type Json, limits, saltedDigest } from '../platform/index.ts';
import type { ApprovalSubject } from './types.ts';

export const subjectDigest = (subject: ApprovalSubject): string => digestJson(digestedForm(subject));

/**
 * What two requests for the same action have in common, whatever salt they have. It has none itself, so that it stays in memory: who sees it
 * and knows the rest can guess arguments.
 */
export const sameAction = ({ argumentsSalt: _, argumentsDigest: __, ...subject }: ApprovalSubject): string =>
  digestJson({ ...boundTo(subject), arguments: subject.arguments });

/**
 * Named one by one, so that a member added to the type without thought does not change what old approvals bind. The arguments are in it by
 * the digest that the records of the action have of them: what is left when they are erased says nothing of them, and is still what was signed.
 */
export function digestedForm(subject: ApprovalSubject) {
  const { argumentsSalt: salt, argumentsDigest } = subject;
  if (salt === undefined && argumentsDigest === undefined) return unsaltedForm(subject);
  const digest = salt === undefined ? (argumentsDigest ?? null) : saltedDigest(subject.arguments, salt);
  return { v: 5, ...boundTo(subject), argumentsDigest: digest };
}

function boundTo(subject: ApprovalSubject) {
  const { agent, agentEpoch, task, operation, tool, toolDefinition, policyVersion } = subject;
  const own = { agent, agentEpoch, task, operation, tool, toolDefinition, policyVersion };
  const rules = (subject.rules ?? []).map(rulePart);
  return { ...own, delegated: delegatedPart(subject.delegated), rules, repeats: subject.repeats ?? null };
}

/** Of approvals from before arguments were salted. */
function unsaltedForm(subject: ApprovalSubject) {
  const { agent, agentEpoch, task, operation, tool, toolDefinition, arguments: args, policyVersion } = subject;
  const own = { agent, agentEpoch, task, operation, tool, toolDefinition, arguments: args, policyVersion };
  const delegated = delegatedPart(subject.delegated);
  const rules = (subject.rules ?? []).map(rulePart);
  const { repeats } = subject;
  if (repeats !== undefined) return { v: 4, ...own, delegated, rules, repeats };
  if (rules.length > 0) return { v: 3, ...own, delegated, rules };
  return delegated ? { v: 2, ...own, delegated } : { v: 1, ...own };
}

function delegatedPart(delegated: ApprovalSubject['delegated']) {
  if (!delegated) return null;
  const { user, chain, narrowing } = delegated;
  return {
    user,
    chain: chain.map((link) => ({ agent: link.agent, agentEpoch: link.agentEpoch, task: link.task })),
    narrowing,
  };
}

export function rulePart(rule: AskedRule): Json {
  const { name, steps, order, deny, exclude, escalate, expiresAfterSeconds, yesLastsSeconds, accept } = rule;
  return {
    name,
    steps: steps.map(({ approve, from, distinct }) => ({ approve, from, distinct })),
    order,
    deny,
    exclude,
    escalate: escalate.map(({ afterSeconds, to }) => ({ afterSeconds, to })),
    ...(expiresAfterSeconds !== undefined && { expiresAfterSeconds }),
    ...(yesLastsSeconds !== undefined && { yesLastsSeconds }),
    ...(accept !== undefined && { accept }),
  };
}

/** What is signed with a yes beyond the one call. */
export interface SignedWith {
  endorse?: readonly EndorsedValue[] | undefined;
  /** More calls like it. */
  grant?: GrantTerms | undefined;
}

/**
 * What the passkey signs: this approval of this subject. The id is in it because what is signed is to be good for one
 * approval only, and most passkeys keep no counter: before arguments had a salt, two approvals of one action had one digest.
 */
export function approvalChallenge(id: string, digest: string, { endorse = [], grant }: SignedWith = {}): Uint8Array {
  const values = endorse.map((each) => ({
    role: each.role,
    value: each.value,
    ...(each.for !== undefined && { for: each.for }),
  }));
  const signed = { approval: id, digest, ...(values.length > 0 && { endorse: values }) };
  const text = canonicalJson(grant ? { v: 4, ...signed, grant } : { v: values.length > 0 ? 2 : 1, ...signed });
  return createHash('sha256').update(text).digest();
}

/** One of those that one gesture signs. */
export interface ListedApproval {
  approval: string;
  digest: string;
}

/**
 * What the passkey signs for a reviewed list: every approval of it with its digest, by id. One more, one less, another order or another
 * digest is another challenge.
 */
export function listChallenge(list: readonly ListedApproval[]): Uint8Array {
  const approvals = list.map(({ approval, digest }) => ({ approval, digest }));
  const isSorted = approvals.every(
    ({ approval }, index) => index === 0 || (approvals[index - 1]?.approval ?? '') < approval,
  );
  if (approvals.length < 2 || approvals.length > limits.approvalsPerGesture || !isSorted)
    throw new GatehouseError(
      'bad-request',
      'approval.list',
      `A list has 2 to ${limits.approvalsPerGesture} approvals, each once, in the order of their ids.`,
    );
  return createHash('sha256')
    .update(canonicalJson({ v: 3, approvals }))
    .digest();
}
