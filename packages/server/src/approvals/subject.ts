import { createHash } from 'node:crypto';
import type { EndorsedValue } from '@gatehouse/protocol';
import { canonicalJson, digestJson } from '../platform/index.ts';
import type { ApprovalSubject } from './types.ts';

/** Named one by one, so that a member added to the type without thought does not change what old approvals bind. */
export function subjectDigest(subject: ApprovalSubject): string {
  const { agent, agentEpoch, task, operation, tool, toolDefinition, arguments: args, policyVersion } = subject;
  const own = { agent, agentEpoch, task, operation, tool, toolDefinition, arguments: args, policyVersion };
  if (!subject.delegated) return digestJson({ v: 1, ...own });
  const { user, chain, narrowing } = subject.delegated;
  const links = chain.map((link) => ({ agent: link.agent, agentEpoch: link.agentEpoch, task: link.task }));
  return digestJson({ v: 2, ...own, delegated: { user, chain: links, narrowing } });
}

/**
 * What the passkey signs: this approval of this subject. The id is in it because two approvals of one action have one digest, and
 * most passkeys keep no counter: without it the first signature would do for the second action as well.
 */
export function approvalChallenge(id: string, digest: string, endorse: readonly EndorsedValue[] = []): Uint8Array {
  const values = endorse.map((each) => ({
    role: each.role,
    value: each.value,
    ...(each.for !== undefined && { for: each.for }),
  }));
  const signed = { approval: id, digest };
  return createHash('sha256')
    .update(canonicalJson(values.length === 0 ? { v: 1, ...signed } : { v: 2, ...signed, endorse: values }))
    .digest();
}
