import type { Obligations } from '@gatehouse/protocol';

/** As policies and templates write them: `@mask("personal,credentials")`, `@reveal("credentials")`, `@limit("100")`, `@approvers("two-from-finance")`. */
type Annotations = Readonly<Record<string, string | null>> | undefined;

const slug = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** As many as a person can still read through. */
const MOST_RULES = 5;
export const listOf = (written: string | null | undefined) =>
  (written ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean);

/** What is wrong with them, in words. */
export function obligationProblem(annotations: Annotations): string | undefined {
  for (const name of ['mask', 'reveal'] as const) {
    const written = annotations?.[name];
    const kinds = listOf(written);
    if (written != null && (kinds.length === 0 || kinds.length > 20 || !kinds.every((kind) => slug.test(kind))))
      return `@${name} lists kinds of sensitive data, such as "personal,credentials", not "${written}"`;
  }
  const approvers = annotations?.approvers;
  const rules = listOf(approvers);
  if (approvers != null && (rules.length === 0 || rules.length > MOST_RULES || !rules.every((rule) => slug.test(rule))))
    return `@approvers lists rules (kind: ApprovalRule), such as "two-from-finance", not "${approvers}"`;
  const limit = annotations?.limit;
  if (limit != null && !/^[1-9]\d{0,8}$/.test(limit)) return `@limit must be a whole number above 0, not "${limit}"`;
  return undefined;
}

/**
 * What everything that permitted a call obliges to, together: each mask and each rule about approvers counts, the lowest limit
 * counts, and something is revealed only where all of them reveal it.
 */
export function obligationsOf(all: readonly Annotations[]): Obligations | undefined {
  return combine(
    all.map((annotations) => ({
      mask: listOf(annotations?.mask),
      reveal: listOf(annotations?.reveal),
      limit: annotations?.limit == null ? null : Number(annotations.limit),
      approvers: listOf(annotations?.approvers),
    })),
  );
}

/** The same over all on whose authority a call is made. One that has none reveals nothing. */
export function combine(all: readonly (Obligations | undefined)[]): Obligations | undefined {
  const mask = new Set<string>();
  let reveal: string[] | undefined;
  let limit: number | null = null;
  const approvers = new Set<string>();
  for (const each of all) {
    for (const kind of each?.mask ?? []) mask.add(kind);
    for (const rule of each?.approvers ?? []) approvers.add(rule);
    const revealed = each?.reveal ?? [];
    reveal = reveal === undefined ? [...revealed] : reveal.filter((kind) => revealed.includes(kind));
    if (each?.limit != null) limit = Math.min(limit ?? each.limit, each.limit);
  }
  const shown = (reveal ?? []).filter((kind) => !mask.has(kind)).sort();
  if (mask.size === 0 && shown.length === 0 && limit === null && approvers.size === 0) return undefined;
  return Object.freeze({
    mask: [...mask].sort(),
    limit,
    ...(shown.length > 0 && { reveal: shown }),
    ...(approvers.size > 0 && { approvers: [...approvers].sort() }),
  });
}

/** What an operator says of the tool itself: it comes on top of what policies say. */
export function withApprovers(obligations: Obligations | undefined, rule: string | undefined): Obligations | undefined {
  if (rule === undefined) return obligations;
  const approvers = [...new Set([...(obligations?.approvers ?? []), rule])].sort();
  return Object.freeze({ ...(obligations ?? { mask: [], limit: null }), approvers });
}
