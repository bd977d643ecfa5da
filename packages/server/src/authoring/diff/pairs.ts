import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { CalendarManifest, GroupManifest, Manifest, ToolServerManifest } from '@gatehouse/protocol';
import { canonicalJson, type Json } from '../../platform/index.ts';
import { concerns, directRef, isOpen, type LoadedPolicy } from '../../policy/index.ts';
import type { Pair } from './calls.ts';
import type { Changed } from './changes.ts';
import { NOW, type Side } from './side.ts';
import { distinct } from './values.ts';

/** Every template and tool of which a change could make something else; what no change is about is answered as before. */
export function pairsOf(before: Side, after: Side, changes: readonly Changed[]): Pair[] {
  const counted = changes.filter(({ isSame }) => !isSame);
  const ofKind = (kind: Manifest['kind']) => counted.filter((change) => change.kind === kind);
  const templates = new Set(ofKind('Template').map(({ name }) => name));
  const tools = new Set([
    ...ofKind('ToolServer').flatMap((change) => toolsOf(change, before, after)),
    ...ofKind('CredentialProvider').map(({ name }) => directRef(name)),
  ]);
  const moments = ofKind('Calendar').flatMap(momentsOf).slice(0, 8);
  const users = usersOf(before, after, ofKind('Group'));
  const changed = changedPolicies(before, after, moments.length > 0);
  const refs = new Set([...before.subjects.keys(), ...after.subjects.keys()]);
  const names = new Set([...before.workspace.templates.keys(), ...after.workspace.templates.keys()]);
  const pairs: Pair[] = [];
  for (const tool of refs) {
    const subjects = [before, after].flatMap(({ subjects: all }) => all.get(tool) ?? []);
    const isAbout = ({ json }: LoadedPolicy) => subjects.some((subject) => concerns(json, subject));
    const touching = changed.filter(isAbout);
    const all = distinctPolicies(
      [before, after].flatMap(writtenOf).flatMap((policy) => (isAbout(policy) ? [policy.json] : [])),
    );
    const isTouched = tools.has(tool) || touching.length > 0;
    // What a tool is decides which of all policies are about it.
    const written = (tools.has(tool) ? [before, after].flatMap(writtenOf) : touching).filter(
      (policy) => !policy.permit && isAbout(policy),
    );
    for (const template of names) {
      if (!isTouched && !templates.has(template)) continue;
      const permits = [before, after].flatMap(({ policies }) =>
        [...policies.values()].filter(
          ({ permit }) =>
            permit?.holder.kind === 'Template' && permit.holder.name === template && permit.subject === tool,
        ),
      );
      const active = distinctPolicies([...permits, ...written].map(({ json }) => json));
      pairs.push({
        template,
        tool,
        active,
        others: all.filter((json) => !active.includes(json)),
        users: touching.some(({ isAboutUsers }) => isAboutUsers) ? users : [],
        moments,
      });
    }
  }
  return pairs;
}

const writtenOf = ({ policies }: Side) => [...policies.values()].filter(({ permit }) => !permit);

function distinctPolicies(policies: readonly PolicyJson[]): PolicyJson[] {
  const seen = new Set<string>();
  return policies.filter((json) => {
    const key = textOf(json);
    return !seen.has(key) && seen.add(key);
  });
}

const textOf = (json: PolicyJson) =>
  JSON.stringify(json, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));

/** Written policies and what groups permit, on either side, where the other has not the same; those about a calendar that changed, too. */
function changedPolicies(before: Side, after: Side, calendars: boolean): LoadedPolicy[] {
  const keys = ({ policies }: Side) => new Set([...policies.values()].map(keyOf));
  const [was, is] = [keys(before), keys(after)];
  return [before, after].flatMap(({ policies }) =>
    [...policies.values()].filter(
      (policy) =>
        policy.permit?.holder.kind !== 'Template' &&
        (!was.has(keyOf(policy)) || !is.has(keyOf(policy)) || (calendars && policy.situation.includes('calendars'))),
    ),
  );
}

const keyOf = ({ json, observeOnly }: LoadedPolicy) => `${observeOnly} ${textOf(json)}`;

/** Those of which something that decides differs. */
function toolsOf({ before: old, after: fresh, redefined }: Changed, before: Side, after: Side): string[] {
  const [was, is] = [old, fresh] as [ToolServerManifest | undefined, ToolServerManifest | undefined];
  const name = (is ?? was)?.name ?? '';
  const everywhere = !was || !is || canonicalJson(was.environments) !== canonicalJson(is.environments);
  const own = [...before.subjects.values(), ...after.subjects.values()].filter(({ server }) => server === name);
  return distinct(own.map(({ ref }) => ref)).filter((ref) => {
    if (everywhere) return true;
    const tool = ref.slice(name.length + 1);
    if (ref.includes('#')) return canonicalJson(featuresOf(was)) !== canonicalJson(featuresOf(is));
    const setting = (of: ToolServerManifest) => (Object.hasOwn(of.tools, tool) ? of.tools[tool] : null) as Json;
    return redefined.includes(tool) || canonicalJson(setting(was)) !== canonicalJson(setting(is));
  });
}

const featuresOf = ({ resources, prompts, clientRequests }: ToolServerManifest): Json => [
  resources ?? null,
  prompts ?? null,
  { ...clientRequests },
];

/** Somebody of each group that differs, and everybody whom a policy about people names. */
function usersOf(before: Side, after: Side, groups: readonly Changed[]): Pair['users'] {
  const names = distinct([
    ...groups.map(({ name }) => name),
    ...[before, after].flatMap(({ workspace }) =>
      [...(workspace.groups.values() as Iterable<GroupManifest>)].map(({ name }) => name),
    ),
  ]);
  return names.slice(0, 12).map((name) => ({ email: `somebody-of-${name}@example.test`, groups: [name] }));
}

const HOUR = 3_600_000;

/** Within three weeks, at each half hour: when it is open on one side only. */
function momentsOf({ before, after }: Changed): number[] {
  const found: number[] = [];
  const open = (calendar: Manifest | undefined, at: number) =>
    calendar !== undefined && isOpen(calendar as CalendarManifest, at);
  for (let at = NOW; at < NOW + 21 * 24 * HOUR && found.length < 4; at += HOUR / 2)
    if (open(before, at) !== open(after, at)) found.push(at);
  const holidays = [before, after].flatMap((calendar) => (calendar as CalendarManifest | undefined)?.holidays ?? []);
  for (const day of holidays)
    for (let hour = 0; hour < 24 && found.length < 8; hour++) {
      const at = Date.parse(day) + hour * HOUR;
      if (open(before, at) !== open(after, at)) found.push(at);
    }
  return found;
}
