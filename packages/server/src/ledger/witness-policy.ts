import { readFileSync } from 'node:fs';
import { type Policy, parsePolicy, VerifierError } from '@gatehouse/verifier';
import { GatehouseError } from '../platform/index.ts';

/** A trust policy file (c2sp.org/tlog-policy). Only its witnesses and its quorum are looked at. Throws `witnesses.policy`. */
export function readWitnessPolicy(path: string): Policy {
  const bad = (why: string, cause?: unknown) =>
    new GatehouseError('bad-request', 'witnesses.policy', `The witness policy ${path} cannot be used: ${why}.`, {
      cause,
    });
  let policy: Policy;
  try {
    policy = parsePolicy(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof VerifierError) throw bad(cause.message, cause);
    throw bad((cause as NodeJS.ErrnoException).code ?? 'it cannot be read', cause);
  }
  for (const { name, url } of policy.witnesses) {
    if (url !== null && !(URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)))
      throw bad(`the address of ${name} is not http or https`);
  }
  const reachable = policy.witnesses.filter(({ url }) => url !== null).map(({ key }) => key);
  if (!policy.isMet(reachable)) throw bad(`its quorum (${policy.quorum}) needs a witness that has no address`);
  return policy;
}
