import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Manifest, TemplateManifest, ToolDefinitions } from '@gatehouse/protocol';
import { canonicalJson, type Json } from '../../platform/index.ts';
import { clausesOf, inWords, type LoadedPolicy } from '../../policy/index.ts';
import { differenceInWords, differences, nameOf } from '../../registry/index.ts';
import type { Side } from './side.ts';

/** One object that is not the same on both sides. */
export interface Changed {
  kind: Manifest['kind'];
  name: string;
  before: Manifest | undefined;
  after: Manifest | undefined;
  /** Tools of a server whose definitions differ. */
  redefined: string[];
  /** Nothing differs but what people read. */
  isSame: boolean;
  what: string[];
}

/** What calls are decided by; the rest of a workspace says who may come, and where things are. */
const kinds: readonly Manifest['kind'][] = [
  'Template',
  'Group',
  'Policy',
  'Budget',
  'ToolServer',
  'CredentialProvider',
  'Blueprint',
  'Environment',
  'Calendar',
  'ApprovalRule',
  'TicketSystem',
];

/** What a provider issues for tool servers is no call; what it hands out is. */
const decides = (manifest: Manifest) =>
  kinds.includes(manifest.kind) && !(manifest.kind === 'CredentialProvider' && !manifest.direct);

export const keyOf = (manifest: Manifest) => `${manifest.kind}/${nameOf(manifest)}`;

export function changesBetween(before: Side, after: Side): Changed[] {
  const [was, is] = [before, after].map(
    ({ given: { manifests } }) => new Map(manifests.filter(decides).map((manifest) => [keyOf(manifest), manifest])),
  ) as [Map<string, Manifest>, Map<string, Manifest>];
  return [...new Set([...was.keys(), ...is.keys()])]
    .map((key) => ({ before: was.get(key), after: is.get(key) }))
    .flatMap((pair) => changed(pair, [before, after]) ?? [])
    .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || (a.name < b.name ? -1 : 1));
}

function changed(
  { before, after }: Pick<Changed, 'before' | 'after'>,
  sides: readonly [Side, Side],
): Changed | undefined {
  const manifest = (after ?? before) as Manifest;
  const name = nameOf(manifest);
  const redefined = before && after && manifest.kind === 'ToolServer' ? redefinedTools(name, sides) : [];
  if (before && after && decidingText(before) === decidingText(after) && redefined.length === 0) return undefined;
  const isSame =
    before !== undefined &&
    after !== undefined &&
    redefined.length === 0 &&
    meaningOf(before, sides[0]) === meaningOf(after, sides[1]);
  return {
    kind: manifest.kind,
    name,
    before,
    after,
    redefined,
    isSame,
    what: [...wordsOf(before, after, sides), ...redefined.map((tool) => `${tool}: takes or gives something else`)],
  };
}

const canonical = (value: unknown) => canonicalJson(value as Json);

/** Where a server is reached, or where credentials come from, is no part of a policy, and differs between any two directories. */
function decidingText(manifest: Manifest): string {
  const { transport: _, ...rest } = manifest as Manifest & { transport?: unknown };
  return canonical(manifest.kind === 'CredentialProvider' ? { ...rest, from: null } : rest);
}

function redefinedTools(server: string, [before, after]: readonly [Side, Side]): string[] {
  const of = ({ servers }: ToolDefinitions) => (Object.hasOwn(servers, server) ? (servers[server] ?? {}) : {});
  const [was, is] = [of(before.given.definitions), of(after.given.definitions)];
  return Object.keys(is).filter((tool) => Object.hasOwn(was, tool) && was[tool]?.digest !== is[tool]?.digest);
}

/** Without what only people read, and where a server is reached. */
function meaningOf(manifest: Manifest, side: Side): string {
  if (manifest.kind === 'Policy')
    return canonical(
      readFile(manifest, side)
        .map(({ meaning }) => meaning)
        .sort(),
    );
  const { description: _, ...rest } = manifest as Record<string, unknown>;
  if (manifest.kind === 'ToolServer') delete rest.transport;
  if (manifest.kind === 'CredentialProvider') delete rest.from;
  if (manifest.kind === 'Template') rest.parameters = withoutDescriptions(manifest);
  return canonical(rest);
}

const withoutDescriptions = ({ parameters }: TemplateManifest) =>
  Object.fromEntries(Object.entries(parameters).map(([name, { description: _, ...rest }]) => [name, rest]));

interface ReadPolicy {
  id: string;
  json: PolicyJson;
  meaning: string;
  does: string;
  clauses: string[];
}

/** Annotations that decide nothing. */
const told = new Set(['id', 'reason', 'description', 'advice', 'lint_ignore']);

function readFile({ name }: PolicyFile, { policies }: Side): ReadPolicy[] {
  return [...policies.values()].filter(({ permit, id }) => !permit && id.startsWith(`${name}#`)).map(readPolicy);
}

function readPolicy({ id, json, raises, observeOnly }: LoadedPolicy): ReadPolicy {
  const { annotations = {}, ...body } = json;
  const deciding = Object.fromEntries(Object.entries(annotations).filter(([key]) => !told.has(key)));
  const effect = raises ? `raises to tier ${annotations.tier}` : `${json.effect}s`;
  const tier = json.effect === 'permit' && annotations.tier != null ? ` at tier ${annotations.tier}` : '';
  const obliges = ['mask', 'reveal', 'limit'].flatMap((each) =>
    annotations[each] == null ? [] : [`${each} ${annotations[each]}`],
  );
  return {
    id,
    json,
    meaning: JSON.stringify([body, deciding, observeOnly], (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}n` : value,
    ),
    does: `${observeOnly ? 'observed only: ' : ''}${effect}${tier}${obliges.length > 0 ? `, with ${obliges.join(', ')}` : ''}`,
    clauses: [...scopeWords(json), ...clausesOf(json.conditions).map(inWords)],
  };
}

function scopeWords({ principal, action, resource }: PolicyJson): string[] {
  return Object.entries({ principal, action, resource }).flatMap(([role, scope]) =>
    scope.op === 'All' ? [] : [`${role} ${scope.op} ${namesIn(scope).join(', ')}`],
  );
}

function namesIn(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(namesIn);
  if (typeof node !== 'object' || node === null) return [];
  const { id, entity_type: type, ...rest } = node as Record<string, unknown>;
  if (typeof id === 'string') return [`"${id}"`];
  return [...(typeof type === 'string' ? [type] : []), ...Object.values(rest).flatMap(namesIn)];
}

function wordsOf(before: Manifest | undefined, after: Manifest | undefined, sides: readonly [Side, Side]): string[] {
  const kind = (after ?? before)?.kind;
  if (kind === 'Policy') return policyWords([before as PolicyFile, after as PolicyFile], sides);
  const [was, is] = [before, after].map((manifest) => ({ ...manifest }) as Record<string, unknown>) as [
    Record<string, unknown>,
    Record<string, unknown>,
  ];
  const allow = kind === 'Template' || kind === 'Group' ? allowWords(was.allow, is.allow) : [];
  if (allow.length > 0 || kind === 'Template' || kind === 'Group') {
    delete was.allow;
    delete is.allow;
  }
  for (const each of [was, is]) {
    delete each.transport;
    if (kind === 'CredentialProvider') delete each.from;
  }
  if (!before || !after) return allow;
  const rest = differences(was, is).map(differenceInWords);
  return [...allow, ...rest];
}

/** Entries are a set: one that only moves is the same. */
function allowWords(before: unknown, after: unknown): string[] {
  const [was, is] = [before, after].map((entries) =>
    ((entries as TemplateManifest['allow'] | undefined) ?? []).map((entry) => entryWords(entry)),
  ) as [string[], string[]];
  return [
    ...was.filter((entry) => !is.includes(entry)).map((entry) => `no more allows ${entry}`),
    ...is.filter((entry) => !was.includes(entry)).map((entry) => `newly allows ${entry}`),
  ];
}

function entryWords({ tools, effects, domains, when, ...obligations }: TemplateManifest['allow'][number]): string {
  const what = tools ? tools.join(', ') : `tools that ${effects?.join(', ')}`;
  const about = domains ? ` of ${domains.join(', ')}` : '';
  const conditions = Object.entries(when ?? {}).map(([argument, value]) => `${argument} is ${JSON.stringify(value)}`);
  const with_ = Object.entries(obligations).map(([name, value]) => `${name} ${[value].flat().join(', ')}`);
  return [
    `${what}${about}`,
    ...(conditions.length > 0 ? [`when ${conditions.join(' and ')}`] : []),
    ...(with_.length > 0 ? [`with ${with_.join(', ')}`] : []),
  ].join(' ');
}

type PolicyFile = Extract<Manifest, { kind: 'Policy' }>;

function policyWords(files: [PolicyFile | undefined, PolicyFile | undefined], sides: readonly [Side, Side]): string[] {
  const [was, is] = files.map(
    (file, at) => new Map((file ? readFile(file, sides[at] as Side) : []).map((each) => [each.id, each])),
  ) as [Map<string, ReadPolicy>, Map<string, ReadPolicy>];
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((id) => {
    const [old, fresh] = [was.get(id), is.get(id)];
    if (!old || !fresh) {
      const { does, clauses } = (old ?? fresh) as ReadPolicy;
      const asks = clauses.length > 0 ? ` where ${clauses.join(', and ')}` : ' everything';
      return [`${id} ${old ? 'is gone: it' : 'is new: it'} ${does}${asks}`];
    }
    if (old.meaning === fresh.meaning) return textOnly(id, old, fresh);
    return [
      ...(old.does === fresh.does ? [] : [`${id}: ${old.does} → ${fresh.does}`]),
      ...old.clauses.filter((each) => !fresh.clauses.includes(each)).map((each) => `${id} no more asks that ${each}`),
      ...fresh.clauses.filter((each) => !old.clauses.includes(each)).map((each) => `${id} newly asks that ${each}`),
    ];
  });
}

function textOnly(id: string, old: ReadPolicy, fresh: ReadPolicy): string[] {
  const [was, is] = [old.json.annotations?.reason, fresh.json.annotations?.reason];
  return was === is ? [] : [`${id}: its reason reads ${JSON.stringify(is ?? null)}`];
}
