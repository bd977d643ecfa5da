import type { PolicyProblem } from '@gatehouse/protocol';
import type { Authored } from '../workspace.ts';
import { type Fact, type Facts, type Finding, nameOf, principalCovers, subjectsCover } from './facts.ts';
import { isImpliedBy, opposite } from './literal.ts';

/** What another policy always beats, says as well, or makes pointless. */
export function shadowed(given: Facts): PolicyProblem[] {
  const { workspace, facts, finding } = given;
  const found: { fact: Fact; problem: PolicyProblem }[] = [];
  const put = (fact: Fact, what: Finding) => found.push({ fact, problem: finding(fact, what) });
  for (const [at, fact] of facts.entries()) {
    const others = facts.filter(
      (other) => other !== fact && principalCovers(other, fact) && subjectsCover(other, fact),
    );
    const beating = others.find(
      (other) => fact.effect === 'permit' && other.effect === 'forbid' && isImpliedBy(other.literals, fact.literals),
    );
    if (beating) {
      const message = `${nameOf(beating)} forbids all that it permits, so that it never counts`;
      put(fact, { code: 'shadowed', message, help: 'narrow the forbid, or take this out' });
      continue;
    }
    const same = others.find(
      (other) => other.effect === fact.effect && saysAsMuch(other, fact) && isFirst(other, fact, at, facts),
    );
    if (!same) {
      const pair = complement(fact, others, at, facts);
      if (pair) put(fact, pair);
      continue;
    }
    put(fact, sayTwice(fact, same));
  }
  // What allows by kind meets what others allow, tool by tool: it has a fault where that is so of all of them.
  const sizes = Map.groupBy(facts, entryOf);
  const faulty = Map.groupBy(found, ({ fact }) => entryOf(fact));
  return found
    .filter(({ fact }) => {
      const entry = entryOf(fact);
      return !isByKind(workspace, fact) || faulty.get(entry)?.length === sizes.get(entry)?.length;
    })
    .map(({ problem }) => problem);
}

/** `template:refund[0]`; of a written policy its id. */
const entryOf = ({ policy: { id, permit } }: Fact) => (permit ? id.slice(0, id.indexOf(']:') + 1) : id);

function isByKind({ templates, groups }: Authored, { policy: { id, permit } }: Fact): boolean {
  if (!permit) return false;
  const index = Number(/\[(\d+)\]:/.exec(id)?.[1]);
  const holders = permit.holder.kind === 'Template' ? templates : groups;
  return holders.get(permit.holder.name)?.allow[index]?.effects !== undefined;
}

/** At least as wide, with no stronger conditions, and with no less of a tier or obligation. */
function saysAsMuch(other: Fact, fact: Fact): boolean {
  if (!isImpliedBy(other.literals, fact.literals)) return false;
  const { tier: _, id: __, reason: ___, lint_ignore: ____, ...obligations } = fact.policy.json.annotations ?? {};
  return other.tier >= fact.tier && Object.keys(obligations).length === 0;
}

/** Of two that say the same, the later one is too much. */
function isFirst(other: Fact, fact: Fact, at: number, facts: readonly Fact[]): boolean {
  const isEqual =
    principalCovers(fact, other) && subjectsCover(fact, other) && isImpliedBy(fact.literals, other.literals);
  return !isEqual || facts.indexOf(other) < at;
}

function sayTwice(fact: Fact, same: Fact) {
  const isTheSame = subjectsCover(fact, same) && isImpliedBy(fact.literals, same.literals);
  if (isTheSame) return { code: 'duplicate', message: `${nameOf(same)} says the same`, help: 'keep one of them' };
  if (fact.effect === 'permit' && fact.literals.length > 0)
    return {
      code: 'condition-bypassed',
      message: `${nameOf(same)} permits the same without its conditions, so that they hold nothing back`,
      help: 'take one of them out, or give both the condition',
    };
  return {
    code: 'redundant',
    message: `${nameOf(same)} says this already, and more`,
    help: 'take it out, or narrow the other',
  };
}

/** Permitted when something holds, and permitted when it does not: nothing is asked. */
function complement(fact: Fact, others: readonly Fact[], at: number, facts: readonly Fact[]) {
  const [condition, ...more] = fact.literals;
  if (!condition || more.length > 0) return undefined;
  const pair = others.find(
    (other) =>
      other.effect === fact.effect &&
      other.literals.length === 1 &&
      other.literals[0] !== undefined &&
      isImpliedBy([opposite(condition)], other.literals) &&
      isImpliedBy(other.literals, [opposite(condition)]) &&
      facts.indexOf(other) < at,
  );
  return (
    pair && {
      code: 'complementary',
      message: `${nameOf(pair)} does the same where its condition does not hold, so that together they ask nothing`,
      help: 'one of the two conditions is probably inverted',
    }
  );
}
