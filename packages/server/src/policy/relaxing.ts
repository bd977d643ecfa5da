import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Grantable, PolicyManifest } from '@gatehouse/protocol';
import { isWider, readGrantable } from './grantable.ts';
import { listOf } from './obligations.ts';
import { readWritten } from './written.ts';

interface Read {
  file: string;
  /** What it is called in decisions. */
  id: string;
  effect: PolicyJson['effect'];
  /** Scope and conditions, whatever they are called. */
  body: string;
  /** Of a forbid: what it raises to; 4 refuses. Of a permit: the least tier of what it allows. */
  tier: number;
  observed: boolean;
  /** Annotations with an effect beside `tier` and `mode`; what Gatehouse does not know is taken to have one. */
  obligations: string;
  grantable: Grantable | undefined;
  /** The rules of who says yes. Without any it is the owner or an approver, so that naming one is no plain narrowing. */
  approvers: string;
}

const withoutEffect = new Set(['id', 'reason', 'description', 'tier', 'mode', 'advice', 'grantable']);

/**
 * Where one set of written policies could let through what another stops, found from their texts alone. Conservative: two policies that
 * are not written alike are two policies, whatever they mean.
 */
export function relaxedPolicies(
  before: readonly PolicyManifest[],
  after: readonly PolicyManifest[],
): { name: string; why: string }[] {
  const [was, is] = [before.flatMap(readAll), after.flatMap(readAll)];
  const found: { name: string; why: string }[] = [];
  const enforcedOf = (all: readonly Read[]) => {
    const alike = Map.groupBy(
      all.filter(({ observed }) => !observed),
      ({ effect, body }) => `${effect} ${body}`,
    );
    return ({ effect, body }: Read) => alike.get(`${effect} ${body}`) ?? [];
  };
  const [enforcedBefore, enforcedAfter] = [enforcedOf(was), enforcedOf(is)];
  for (const old of was) {
    if (old.observed) continue;
    const kept = enforcedAfter(old);
    if (old.effect === 'forbid') {
      if (kept.length === 0) found.push({ name: old.file, why: `forbid ${old.id} is ${gone(old, is)}` });
      else if (kept.every(({ tier }) => tier < old.tier))
        found.push({
          name: old.file,
          why: `forbid ${old.id} ${old.tier === 4 ? 'refused' : `raised to tier ${old.tier}`}, and now raises to tier ${kept[0]?.tier}`,
        });
      else if (kept.every(({ approvers }) => approvers !== old.approvers))
        found.push({ name: old.file, why: `others approve what forbid ${old.id} has a person asked for` });
      else if (kept.every(({ grantable }) => isWider(grantable, old.grantable)))
        found.push({ name: old.file, why: `standing grants may go further past forbid ${old.id}` });
    } else if ((old.tier > 0 || old.obligations !== '') && !kept.some((each) => isAsStrict(each, old)))
      found.push({ name: old.file, why: `permit ${old.id} set a tier or an obligation that is gone or less` });
  }
  for (const fresh of is) {
    if (fresh.observed) continue;
    if (fresh.effect === 'forbid') {
      if (fresh.approvers !== '' && enforcedBefore(fresh).length === 0)
        found.push({ name: fresh.file, why: `forbid ${fresh.id} names who approves` });
      continue;
    }
    if (!enforcedBefore(fresh).some((old) => isAsStrict(fresh, old)))
      found.push({ name: fresh.file, why: `permit ${fresh.id} is new or changed` });
  }
  return found;
}

const isAsStrict = (fresh: Read, old: Read) =>
  fresh.tier >= old.tier && fresh.obligations === old.obligations && !isWider(fresh.grantable, old.grantable);

function gone(old: Read, is: readonly Read[]): string {
  return is.some((each) => each.observed && each.effect === old.effect && each.body === old.body)
    ? 'only observed now'
    : 'gone or changed';
}

function readAll(manifest: PolicyManifest): Read[] {
  return readWritten(manifest, []).map(({ id, json, raises, observeOnly }) => {
    const { annotations = {}, effect, ...body } = json;
    const obliging = Object.entries(annotations).filter(([key]) => !withoutEffect.has(key));
    return {
      file: manifest.name,
      id,
      effect,
      body: JSON.stringify(body, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
      tier: effect === 'forbid' ? (raises ? Number(annotations.tier) : 4) : Number(annotations.tier ?? 0),
      observed: observeOnly,
      grantable: readGrantable(annotations.grantable),
      approvers: listOf(annotations.approvers).sort().join(),
      obligations: obliging
        .map(([key, value]) => JSON.stringify([key, value]))
        .sort()
        .join(),
    };
  });
}
