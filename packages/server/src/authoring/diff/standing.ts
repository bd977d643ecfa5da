import type {
  BlueprintManifest,
  BudgetManifest,
  CredentialProviderManifest,
  EnvironmentManifest,
  GroupManifest,
  Manifest,
  MeaningChange,
  TemplateManifest,
  ToolServerManifest,
  ToolSetting,
} from '@gatehouse/protocol';
import { canonicalJson, type Json } from '../../platform/index.ts';
import type { Changed } from './changes.ts';

type Effect = MeaningChange['effects'][number];

/** What a change lets through or stops beyond the answer to a single call: budgets, labels, who may start what. */
export function standingEffects({ kind, before, after }: Changed): Effect[] {
  const judge = judges[kind] as ((before: Manifest | undefined, after: Manifest | undefined) => Effect[]) | undefined;
  return judge?.(before, after) ?? [];
}

const more = (words: string): Effect => ({ permits: 'more', words });
const less = (words: string): Effect => ({ permits: 'less', words });
const either = (words: string): Effect => ({ permits: 'more-and-less', words });

const judges: { [Kind in Manifest['kind']]?: (before: never, after: never) => Effect[] } = {
  Budget: budgetEffects,
  Blueprint: blueprintEffects,
  Environment: environmentEffects,
  Group: groupEffects,
  Template: templateEffects,
  ToolServer: serverEffects,
  CredentialProvider: providerEffects,
  TicketSystem: (before: Manifest | undefined, after: Manifest | undefined) =>
    before && after ? [either('who says what state a ticket is in is another')] : [],
};

function budgetEffects(before: BudgetManifest | undefined, after: BudgetManifest | undefined): Effect[] {
  if (!before || !after)
    return [
      after
        ? less(`it newly holds: ${limitWords(after)}`)
        : more(`it holds no more: ${limitWords(before as BudgetManifest)}`),
    ];
  const [was, is] = [limitsOf(before), limitsOf(after)];
  const found: Effect[] = [];
  for (const name of new Set([...was.keys(), ...is.keys()])) {
    const [old = Infinity, fresh = Infinity] = [was.get(name), is.get(name)];
    const shown = (most: number) => (most === Infinity ? 'no limit' : `${most}`);
    if (old !== fresh) found.push((fresh > old ? more : less)(`${name}: ${shown(old)} → ${shown(fresh)}`));
  }
  if (before.over !== after.over)
    found.push(
      after.over === 'deny'
        ? less('beyond it a call is refused, and nobody is asked')
        : more('beyond it a person is asked, where a call was refused'),
    );
  const [counted, counts] = [before, after].map(
    ({ limit: _, over: __, description: ___, giveBackOnFailure: ____, ...rest }) => rest,
  );
  if (!isSame(counted, counts)) found.push(either('what it counts, for whom or how long is another'));
  if (before.giveBackOnFailure !== after.giveBackOnFailure)
    found.push((after.giveBackOnFailure ? more : less)('whether a failed call counts is changed'));
  return found;
}

function limitsOf({ limit: { count, items, sum, concurrent } }: BudgetManifest): Map<string, number> {
  const all: [string, number | undefined][] = [
    ['calls', count],
    ['items', items?.max],
    [`sum${sum?.currency ? ` in ${sum.currency.is}` : ''}`, sum && Number(sum.max)],
    ['calls at once', concurrent],
  ];
  return new Map(all.filter((each): each is [string, number] => each[1] !== undefined));
}

const limitWords = (budget: BudgetManifest) =>
  `at most ${[...limitsOf(budget)].map(([name, most]) => `${name} ${most}`).join(', ')}`;

function blueprintEffects(before: BlueprintManifest | undefined, after: BlueprintManifest | undefined): Effect[] {
  const added = minus(after?.templates, before?.templates);
  const gone = minus(before?.templates, after?.templates);
  return [
    ...(added.length > 0 ? [more(`its agents may start tasks under ${added.join(', ')}`)] : []),
    ...(gone.length > 0 ? [less(`its agents start no more tasks under ${gone.join(', ')}`)] : []),
    ...(isSame(before?.delegatesTo, after?.delegatesTo) ? [] : [either('to whom its agents hand on tasks is changed')]),
  ];
}

function environmentEffects(before: EnvironmentManifest | undefined, after: EnvironmentManifest | undefined): Effect[] {
  if (!before || !after) return [];
  const found: Effect[] = [];
  if (before.production !== after.production)
    found.push(
      after.production
        ? less('it becomes production: what can’t be isolated is refused')
        : more('it is no production environment any more'),
    );
  const [shown, masked] = [minus(before.mask, after.mask), minus(after.mask, before.mask)];
  if (shown.length > 0) found.push(more(`results show ${shown.join(', ')}`));
  if (masked.length > 0) found.push(less(`results are masked: ${masked.join(', ')}`));
  if (before.policyChanges !== after.policyChanges) found.push(either('who ships changes of its policies is changed'));
  if (!isSame(before.breaker, after.breaker)) found.push(either('when tasks and agents are suspended is changed'));
  return found;
}

function groupEffects(before: GroupManifest | undefined, after: GroupManifest | undefined): Effect[] {
  const [joined, left] = [minus(after?.members, before?.members), minus(before?.members, after?.members)];
  return [
    ...(joined.length > 0 ? [more(`in it: ${joined.join(', ')}`)] : []),
    ...(left.length > 0 ? [less(`not in it any more: ${left.join(', ')}`)] : []),
    ...(before && after && before.directoryGroup !== after.directoryGroup
      ? [either('which group of the directory belongs to it is changed')]
      : []),
  ];
}

function templateEffects(before: TemplateManifest | undefined, after: TemplateManifest | undefined): Effect[] {
  if (!before || !after || before.ttlSeconds === after.ttlSeconds) return [];
  const words = `tasks last ${after.ttlSeconds} s at most, not ${before.ttlSeconds} s`;
  return [(after.ttlSeconds > before.ttlSeconds ? more : less)(words)];
}

function serverEffects(before: ToolServerManifest | undefined, after: ToolServerManifest | undefined): Effect[] {
  if (!before || !after) return [];
  const found: Effect[] = [];
  if (before.stateless !== after.stateless)
    found.push(
      (after.stateless ? more : less)(`one connection serves ${after.stateless ? 'several tasks' : 'one task'}`),
    );
  for (const host of minus(after.allowImageHosts, before.allowImageHosts))
    found.push(more(`images of ${host} are shown`));
  for (const host of minus(before.allowImageHosts, after.allowImageHosts))
    found.push(less(`images of ${host} are taken out`));
  for (const [name, setting] of Object.entries(after.tools)) {
    const old = Object.hasOwn(before.tools, name) ? before.tools[name] : undefined;
    if (old) found.push(...toolEffects(old, setting).map((each) => ({ ...each, words: `${name}: ${each.words}` })));
  }
  return found;
}

/** The tier of what is handed out is part of what a single request is answered by. */
function providerEffects(
  before: CredentialProviderManifest | undefined,
  after: CredentialProviderManifest | undefined,
): Effect[] {
  const [was, is] = [before?.direct, after?.direct];
  if (!was || !is)
    return [
      is
        ? more('tasks may newly be handed its credentials, where their template says so')
        : less('no task is handed its credentials any more'),
    ];
  const counts = {
    maxSeconds: 'seconds that one works',
    perTask: 'made for a task',
    perHour: 'made for an agent in an hour',
  };
  return Object.entries(counts).flatMap(([member, words]) => {
    const [old, fresh] = [was[member as keyof typeof counts], is[member as keyof typeof counts]];
    return old === fresh ? [] : [(fresh > old ? more : less)(`${words}: ${old} → ${fresh}`)];
  });
}

/** Tier, effects, domain and roles are part of what single calls are answered by. */
function toolEffects(before: ToolSetting, after: ToolSetting): Effect[] {
  const found: Effect[] = [];
  const [was, is] = [before.returns?.trust ?? 'untrusted', after.returns?.trust ?? 'untrusted'];
  if (was !== is) found.push((is === 'trusted' ? more : less)(`its results are ${is}`));
  for (const kind of minus(after.returns?.sensitive, before.returns?.sensitive))
    found.push(less(`its results have ${kind} data`));
  for (const kind of minus(before.returns?.sensitive, after.returns?.sensitive))
    found.push(more(`its results are said to have no ${kind} data`));
  if (!isSame(before.returns?.fields, after.returns?.fields))
    found.push(either('labels of parts of its results are changed'));
  for (const unit of ['items', 'bytes'] as const) {
    const [old = Infinity, fresh = Infinity] = [before.hold?.[unit], after.hold?.[unit]];
    const shown = (most: number) => (most === Infinity ? 'any number of' : `${most}`);
    if (old !== fresh)
      found.push((fresh > old ? more : less)(`results are held beyond ${shown(fresh)} ${unit}, not ${shown(old)}`));
  }
  if (Boolean(before.keepMarkup) !== Boolean(after.keepMarkup))
    found.push((after.keepMarkup ? more : less)(`markup in its results ${after.keepMarkup ? 'stays' : 'is cleaned'}`));
  if (before.store !== after.store) found.push(either('which store it belongs to is changed'));
  return found;
}

const minus = <T>(all: readonly T[] | undefined, without: readonly T[] | undefined): T[] =>
  (all ?? []).filter((each) => !without?.includes(each));

const isSame = (a: unknown, b: unknown) => canonicalJson((a ?? null) as Json) === canonicalJson((b ?? null) as Json);
