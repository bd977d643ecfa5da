import type { ToolServerManifest, ToolSetting } from '@gatehouse/protocol';
import { isSame, membersThatDiffer } from './same.ts';
import { moreOf, nothing, type Verdict } from './verdict.ts';

type Server = ToolServerManifest;

const newTools = (before: Server['tools'], after: Server['tools']) =>
  Object.entries(after).flatMap(([name, setting]) => {
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    return (old ? relaxedTool(old, setting) : newTool(setting)).map((why) => `${name}: ${why}`);
  });

const lowered = (feature: 'resources' | 'prompts') => (before: Server | undefined, after: Server) => {
  const [was, is] = [before?.[feature]?.tier ?? 4, after[feature]?.tier ?? 4];
  return is < was ? [`${feature}: tier ${was} → ${is}`] : [];
};

const granted = (before: Server | undefined, after: Server) =>
  Object.entries(after.clientRequests).flatMap(([request, is]) =>
    is && !before?.clientRequests[request as keyof Server['clientRequests']]
      ? [`it may ask clients for ${request}`]
      : [],
  );

/** What an operator says of a server, of its tools, and of where it is. */
export const toolServer: Verdict<Server> = {
  created: (after) => [
    ...newTools({}, after.tools),
    ...lowered('resources')(undefined, after),
    ...lowered('prompts')(undefined, after),
    ...granted(undefined, after),
  ],
  gone: nothing,
  members: {
    description: 'words',
    environments: (before, after) =>
      moreOf(before.environments, after.environments, (added) => `it is offered in ${added}`),
    // What was approved here would be done somewhere else, or by another program.
    transport: (before, after) =>
      membersThatDiffer(before.transport, after.transport).map((name) =>
        name === 'env' && before.transport.type === 'stdio' && after.transport.type === 'stdio'
          ? `its program gets other values: ${membersThatDiffer(before.transport.env, after.transport.env).join(', ')}`
          : `where and how it is reached is changed: ${name}`,
      ),
    stateless: (_, after) => (after.stateless ? ['one connection of it serves several tasks'] : []),
    tools: (before, after) => newTools(before.tools, after.tools),
    allowImageHosts: (before, after) =>
      moreOf(before.allowImageHosts, after.allowImageHosts, (added) => `results may show images of ${added}`),
    resources: lowered('resources'),
    prompts: lowered('prompts'),
    clientRequests: granted,
  },
};

const newTool = ({ tier }: ToolSetting) => (tier < 4 ? [`a new tool of tier ${tier}`] : []);

/**
 * What each member of a tool's setting may become without letting more through; every other change counts as wider. Of `arguments` every one:
 * the role of an argument that is never given switches off the rules on calls that do not say to whom they go.
 */
const tightens: { [Member in keyof ToolSetting]?: (before: ToolSetting, after: ToolSetting) => boolean } = {
  tier: (before, after) => after.tier >= before.tier,
  definition: (before, after) => before.definition === undefined && after.definition !== undefined,
  returns: (before, after) => isMoreCautious(before.returns, after.returns),
  idempotent: (_, after) => after.idempotent !== true,
  // To another argument could be away from the one that counts.
  idempotencyArgument: (_, after) => after.idempotencyArgument === undefined,
  undo: ({ undo: before }, { undo: after }) => undoRank(after) < undoRank(before),
  store: (before, after) => before.store === undefined && after.store !== undefined,
  hold: ({ hold: before }, { hold: after }) =>
    !before ||
    (after !== undefined &&
      (['items', 'bytes'] as const).every((unit) => (after[unit] ?? Infinity) <= (before[unit] ?? Infinity))),
};

/** What can be undone may be signed together with others, and is looked at less. */
const undoRank = (undo: ToolSetting['undo']) => ['no', 'partly', 'yes'].indexOf(undo?.possible ?? 'no');

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
    // What a tool says that it gives is what a permit can reveal.
    (before?.sensitive.includes('credentials') || !after?.sensitive.includes('credentials')) &&
    isSame(before?.fields, after?.fields)
  );
}
