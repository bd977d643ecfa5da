import type { ClaimCondition, TrustRuleManifest } from '@gatehouse/protocol';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { globMatches, globsOverlap } from './glob.ts';
import { issuerUrlOf } from './presets.ts';

/** The value of a claim; undefined where there is none. A name with a leading `/` is a JSON Pointer (RFC 6901) through objects. */
export function claimOf(claims: JsonObject, name: string): Json | undefined {
  const steps = name.startsWith('/')
    ? name
        .slice(1)
        .split('/')
        .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    : [name];
  let value: Json | undefined = claims;
  for (const step of steps) {
    if (!isJsonObject(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

/** A list matches only where the rule asks what it contains: a condition never holds because some element does. */
export function conditionHolds(condition: ClaimCondition, value: Json | undefined): boolean {
  if (typeof condition !== 'object') return value === condition;
  if ('contains' in condition) return Array.isArray(value) && value.includes(condition.contains);
  return typeof value === 'string' && globMatches(condition.pattern, value);
}

/**
 * Whether one proof could satisfy both rules. Conservative: they are apart only where that is certain, by the issuer or by one claim that
 * cannot have both values. Audience, age and state keep nothing apart: a second token, or a change of state, would bring them together.
 */
export function rulesOverlap(one: TrustRuleManifest, other: TrustRuleManifest): boolean {
  if ((one.issuer.type === 'aws-iam') !== (other.issuer.type === 'aws-iam')) return false;
  if ((isSpiffe(one) && isPlatform(other)) || (isSpiffe(other) && isPlatform(one))) return false;
  const conditions = allConditions(other);
  for (const [name, condition] of allConditions(one)) {
    const against = conditions.get(name);
    if (against !== undefined && apart(condition, against)) return false;
  }
  return true;
}

const isSpiffe = ({ issuer }: TrustRuleManifest) => issuer.type === 'spiffe';
/** A token of theirs whose `sub` is a SPIFFE ID is not taken for theirs. */
const isPlatform = ({ issuer }: TrustRuleManifest) => issuer.type === 'oidc' && issuer.preset !== undefined;

/** The claims that are asked for, and what the issuer's kind says of `iss` and `sub`. */
function allConditions({ issuer, claims }: TrustRuleManifest): Map<string, ClaimCondition> {
  const all = new Map<string, ClaimCondition>(Object.entries(claims));
  if (issuer.type === 'oidc') all.set('iss', issuerUrlOf(issuer) ?? '');
  if (issuer.type === 'spiffe' && !all.has('sub')) all.set('sub', { pattern: `spiffe://${issuer.trustDomain}/**` });
  return all;
}

function apart(one: ClaimCondition, other: ClaimCondition): boolean {
  const [a, b] = [kindOf(one), kindOf(other)];
  // A list is no text, and a list can contain both.
  if (a === 'contains' || b === 'contains') return a !== b;
  if (a === 'exact' && b === 'exact') return one !== other;
  if (a === 'pattern' && b === 'pattern') return !globsOverlap(patternOf(one), patternOf(other));
  const [pattern, exact] = a === 'pattern' ? [one, other] : [other, one];
  return typeof exact !== 'string' || !globMatches(patternOf(pattern), exact);
}

const kindOf = (condition: ClaimCondition): 'exact' | 'pattern' | 'contains' =>
  typeof condition !== 'object' ? 'exact' : 'pattern' in condition ? 'pattern' : 'contains';

const patternOf = (condition: ClaimCondition): string => (condition as { pattern: string }).pattern;
