import { type GrantRequest, type GrantTerms, grantTerms } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import { boundsProblem } from './bounds.ts';
import type { Grantable, GrantDependencies } from './types.ts';

/** Options are asked for, read and signed within this time. */
const SIGNED_WITHIN_MS = 5 * 60_000;

/** Which terms a person may sign for more calls like one that waits: no more than policies let them, from now to the end of its task. */
export function createTerms({ isGivenBy, clock }: Pick<GrantDependencies, 'isGivenBy' | 'clock'>) {
  function checked({ subject, decision, taskEndsAt, person }: Grantable, terms: GrantTerms, endsAt = taskEndsAt): void {
    const { grantable } = decision;
    if (decision.effect !== 'needs-approval' || !grantable)
      throw refused(
        'grant.not-allowed',
        'No policy lets more calls like this be granted: each is approved by itself. An operator can allow it with `grantable`.',
      );
    if (!isGivenBy(subject, person, clock.now())) throw notAlone();
    const { calls, from, until } = terms;
    const seconds = (until - from) / 1_000;
    if (calls > grantable.calls || seconds > grantable.seconds)
      throw refused(
        'grant.too-wide',
        `Policy lets at most ${grantable.calls} calls within ${grantable.seconds} s be granted here, not ${calls} within ${Math.ceil(seconds)} s.`,
      );
    const now = clock.now();
    if (from > now || from < now - SIGNED_WITHIN_MS || until <= now || until > endsAt)
      throw refused(
        'grant.times',
        'These times are not those of a grant that begins now and ends with its task. Start again.',
      );
    const problem = boundsProblem(subject.arguments, terms);
    if (problem !== undefined) throw refused('grant.bounds', `Nothing was granted: ${problem}.`);
  }

  function termsFor(of: Grantable, { seconds, ...request }: GrantRequest): GrantTerms {
    const from = clock.now();
    checked(of, { ...request, from, until: from + seconds * 1_000 }, Number.POSITIVE_INFINITY);
    const terms = grantTerms.parse({ ...request, from, until: Math.min(from + seconds * 1_000, of.taskEndsAt) });
    checked(of, terms);
    return terms;
  }

  return { checked, termsFor };
}

const refused = (code: string, detail: string) => new GatehouseError('bad-request', code, detail);

export const notAlone = () =>
  refused(
    'grant.not-alone',
    'More calls can be granted only where one yes alone is enough by all the rules. Approve this call alone.',
  );
