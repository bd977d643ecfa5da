import type { Decision } from '@gatehouse/protocol';
import { beyond, counted, wantedOf } from './budgets/index.ts';
import type { createDeciding } from './decide.ts';
import { deny } from './deny.ts';
import { type createDirect, explainDirect, givenAgain, isDirect } from './direct.ts';
import type { EnforcementDependencies } from './enforce.ts';
import { beforeRepeating } from './open-calls.ts';
import type { Action } from './types.ts';

/** What would be decided now; nothing is recorded, asked or counted. */
export function createForesight(
  { flow, openCalls, budgets, clock }: Pick<EnforcementDependencies, 'flow' | 'openCalls' | 'budgets' | 'clock'>,
  { prove, redecide }: Pick<ReturnType<typeof createDeciding>, 'prove' | 'redecide'>,
  direct: Pick<ReturnType<typeof createDirect>, 'settle' | 'again' | 'limited'>,
) {
  return async function foresee(given: Action): Promise<Decision> {
    const proven = prove(given);
    if ('refused' in proven) return proven.refused;
    const { snapshot, set, authority, found } = proven;
    const action = isDirect(given) ? await direct.settle(snapshot, given) : given;
    if ('refused' in action) return deny(action.refused, set.version, found);
    for (let loading = flow.ready(action.caller); loading; loading = flow.ready(action.caller)) await loading;
    let decision = await redecide(snapshot, set, authority, action, found);
    if (isDirect(action) && decision.effect !== 'deny') {
      decision = explainDirect(decision, action);
      const again = await direct.again(snapshot, action);
      if (again && 'refused' in again) return deny(again.refused, set.version, found);
      if (again) return { ...givenAgain(decision, again), effect: 'allow' };
      const limited = await direct.limited(snapshot, action);
      if (limited) return deny(limited, set.version, found);
    }
    const open = decision.effect === 'deny' ? null : openCalls.of(action, found);
    const twin = open && (await openCalls.twin(open));
    if (open && twin) decision = beforeRepeating(decision, twin, open, found);
    const wanted = decision.effect === 'deny' ? null : wantedOf(snapshot, action, found, '', clock.now());
    if (!wanted) return decision;
    if ('code' in wanted) return deny(wanted, set.version, found);
    const over = await budgets.over(wanted.spend);
    return over ? beyond(decision, wanted, over) : counted(decision, wanted);
  };
}
