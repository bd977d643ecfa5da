import type { ToolServerManifest, ToolSetting } from '@gatehouse/protocol';
import { isSame, membersThatDiffer } from './same.ts';

/** Where what an operator says of a server and its tools could let more through. Its address is another matter. */
export function relaxedToolServer(
  before: ToolServerManifest | undefined,
  after: ToolServerManifest | undefined,
): string[] {
  if (!after) return [];
  const why: string[] = [];
  const environments = after.environments.filter((name) => !before?.environments.includes(name));
  if (before && environments.length > 0) why.push(`it is offered in ${environments.join(', ')}`);
  if (after.stateless && before && !before.stateless) why.push('one connection of it serves several tasks');
  for (const feature of ['resources', 'prompts'] as const) {
    const [was, is] = [before?.[feature]?.tier ?? 4, after[feature]?.tier ?? 4];
    if (is < was) why.push(`${feature}: tier ${was} → ${is}`);
  }
  for (const [request, granted] of Object.entries(after.clientRequests))
    if (granted && !before?.clientRequests[request as keyof typeof after.clientRequests])
      why.push(`it may ask clients for ${request}`);
  if (before)
    for (const member of membersThatDiffer(before, after)) if (!judged.has(member)) why.push(`"${member}" is changed`);
  for (const [name, setting] of Object.entries(after.tools)) {
    const old = before && Object.hasOwn(before.tools, name) ? before.tools[name] : undefined;
    for (const reason of old ? relaxedTool(old, setting) : newTool(setting)) why.push(`${name}: ${reason}`);
  }
  return why;
}

/** Looked at one by one here, or of no concern: where a server is, and what it is called. */
const judged: ReadonlySet<string> = new Set([
  'description',
  'transport',
  'environments',
  'stateless',
  'tools',
  'resources',
  'prompts',
  'clientRequests',
]);

const newTool = ({ tier }: ToolSetting) => (tier < 4 ? [`a new tool of tier ${tier}`] : []);

/** What each member of a tool's setting may become without letting more through; every other change counts as wider. */
const tightens: { [Member in keyof ToolSetting]?: (before: ToolSetting, after: ToolSetting) => boolean } = {
  tier: (before, after) => after.tier >= before.tier,
  definition: (before, after) => before.definition === undefined && after.definition !== undefined,
  arguments: (before, after) =>
    Object.entries(before.arguments ?? {}).every(([name, { role }]) => after.arguments?.[name]?.role === role),
  returns: (before, after) => isMoreCautious(before.returns, after.returns),
  store: (before, after) => before.store === undefined && after.store !== undefined,
  hold: ({ hold: before }, { hold: after }) =>
    !before ||
    (after !== undefined &&
      (['items', 'bytes'] as const).every((unit) => (after[unit] ?? Infinity) <= (before[unit] ?? Infinity))),
};

function relaxedTool(before: ToolSetting, after: ToolSetting): string[] {
  const members = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof ToolSetting>;
  const why: string[] = [];
  for (const member of members) {
    if (isSame(before[member], after[member]) || tightens[member]?.(before, after)) continue;
    why.push(member === 'tier' ? `tier ${before.tier} → ${after.tier}` : `"${member}" is changed`);
  }
  return why;
}

/** Who says nothing has vouched for nothing: that is the most cautious. */
function isMoreCautious(before: ToolSetting['returns'], after: ToolSetting['returns']): boolean {
  const trusted = (of: ToolSetting['returns']) => of?.trust === 'trusted';
  return (
    (trusted(before) || !trusted(after)) &&
    (before?.sensitive ?? []).every((kind) => after?.sensitive.includes(kind)) &&
    isSame(before?.fields, after?.fields)
  );
}
