import { type PolicyJson, policyToJson, policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import type { Manifest, PolicyManifest, TemplateManifest, ToolServerManifest } from '@gatehouse/protocol';

/** One fault put into what governs agents. */
export interface Mutant {
  operator: string;
  /** What was changed, as the list of equivalents names it. */
  id: string;
  /** Takes the place of the manifest of its kind and name. */
  manifest: Manifest;
}

type Entry = TemplateManifest['allow'][number];

/** Everything that can go wrong in an entry of `allow`, by operator. */
function entryMutants(
  entry: Entry,
  parameters: Readonly<Record<string, { type: string }>>,
): [string, string, Entry | null][] {
  const found: [string, string, Entry | null][] = [['entry dropped', '', null]];
  const when = Object.entries(entry.when ?? {});
  for (const [argument, value] of when) {
    const others = Object.fromEntries(when.filter(([name]) => name !== argument));
    const { when: _, ...bare } = entry;
    found.push(['condition dropped', argument, when.length > 1 ? { ...entry, when: others } : bare]);
    const is = typeof value === 'string' && value.startsWith('$') ? value.slice(1) : undefined;
    const literal = (type: string | undefined) => (type === 'integer' ? 7 : type === 'boolean' ? true : 'mutant');
    const changed =
      is === undefined ? (typeof value === 'string' ? `${value}-mutant` : value) : literal(parameters[is]?.type);
    found.push([
      is === undefined ? 'value changed' : 'parameter replaced by a value',
      argument,
      { ...entry, when: { ...entry.when, [argument]: changed } },
    ]);
    for (const other of Object.keys(parameters).filter((name) => is !== undefined && name !== is))
      found.push([
        'parameter swapped',
        `${argument} with ${other}`,
        { ...entry, when: { ...entry.when, [argument]: `$${other}` } },
      ]);
  }
  for (const [at, tool] of (entry.tools ?? []).entries()) {
    const tools = entry.tools ?? [];
    if (tools.length > 1) found.push(['tool dropped', tool, { ...entry, tools: tools.toSpliced(at, 1) }]);
    const server = /^([^/#]+)\/[^*]/.exec(tool)?.[1];
    if (server) found.push(['pattern widened', tool, { ...entry, tools: tools.with(at, `${server}/*`) }]);
  }
  for (const effect of ['send', 'pay', 'delete', 'write'] as const)
    if (entry.effects && !entry.effects.includes(effect))
      found.push(['effect added', effect, { ...entry, effects: [...entry.effects, effect] }]);
  for (const effect of entry.effects ?? [])
    if ((entry.effects?.length ?? 0) > 1)
      found.push([
        'effect dropped',
        effect,
        { ...entry, effects: (entry.effects ?? []).filter((each) => each !== effect) },
      ]);
  if (entry.domains) {
    const { domains, ...any } = entry;
    found.push(['domains dropped', '', any]);
    if (!domains.includes('payments'))
      found.push(['domain added', 'payments', { ...entry, domains: [...domains, 'payments'] }]);
    if (!domains.includes('accounts'))
      found.push(['domain added', 'accounts', { ...entry, domains: [...domains, 'accounts'] }]);
    for (const domain of domains.length > 1 ? domains : [])
      found.push(['domain dropped', domain, { ...entry, domains: domains.filter((each) => each !== domain) }]);
  }
  return found;
}

function allowMutants(manifest: Extract<Manifest, { kind: 'Template' | 'Group' }>): Mutant[] {
  const parameters = manifest.kind === 'Template' ? manifest.parameters : {};
  return manifest.allow.flatMap((entry, index) =>
    entryMutants(entry, parameters).map(([operator, what, changed]) => ({
      operator,
      id: `${operator}: ${manifest.kind.toLowerCase()} ${manifest.name} allow[${index}]${what && ` ${what}`}`,
      manifest: {
        ...manifest,
        allow: changed ? manifest.allow.with(index, changed) : manifest.allow.toSpliced(index, 1),
      } as Manifest,
    })),
  );
}

function serverMutants(server: ToolServerManifest): Mutant[] {
  return Object.entries(server.tools).flatMap(([tool, setting]) => {
    const change = (operator: string, what: string, changed: Partial<typeof setting>): Mutant => ({
      operator,
      id: `${operator}: tool ${server.name}/${tool}${what && ` ${what}`}`,
      manifest: { ...server, tools: { ...server.tools, [tool]: { ...setting, ...changed } } },
    });
    return [
      ...(setting.tier > 1 ? [change('tier lowered', '', { tier: (setting.tier - 1) as 1 | 2 | 3 })] : []),
      ...(setting.effects.some((effect) => effect !== 'read')
        ? [change('effects made harmless', '', { effects: ['read'] })]
        : []),
    ];
  });
}

/** Every node below which something can be put in its place. */
function* places(
  node: unknown,
  at: (string | number)[] = [],
): Generator<{ node: Record<string, unknown>; at: (string | number)[] }> {
  if (Array.isArray(node)) for (const [index, each] of node.entries()) yield* places(each, [...at, index]);
  else if (typeof node === 'object' && node !== null) {
    yield { node: node as Record<string, unknown>, at };
    for (const [name, member] of Object.entries(node)) yield* places(member, [...at, name]);
  }
}

function replaced<T>(root: T, at: (string | number)[], by: unknown): T {
  const copy = structuredClone(root);
  let holder = copy as Record<string | number, unknown>;
  for (const step of at.slice(0, -1)) holder = holder[step] as Record<string | number, unknown>;
  holder[at.at(-1) as string] = by;
  return copy;
}

const inverted: Record<string, string> = { '>': '<', '<': '>', '>=': '<=', '<=': '>=', '==': '!=', '!=': '==' };
const shifted: Record<string, string> = { '>': '>=', '>=': '>', '<': '<=', '<=': '<' };
const joined: Record<string, string> = { '&&': '||', '||': '&&' };

function policyMutants(json: PolicyJson): [string, string, PolicyJson | null][] {
  const found: [string, string, PolicyJson | null][] = [['policy dropped', '', null]];
  found.push(['effect turned', '', { ...json, effect: json.effect === 'permit' ? 'forbid' : 'permit' }]);
  if (json.principal.op !== 'All') found.push(['scope widened', 'principal', { ...json, principal: { op: 'All' } }]);
  if (json.action.op !== 'All') found.push(['scope widened', 'action', { ...json, action: { op: 'All' } }]);
  const { tier, ...annotations } = json.annotations ?? {};
  if (tier !== undefined) {
    found.push(['tier dropped', '', { ...json, annotations }]);
    found.push(['tier lowered', '', { ...json, annotations: { ...annotations, tier: String(Number(tier) - 1) } }]);
  }
  for (const [at, { kind, body }] of json.conditions.entries()) {
    found.push(['condition dropped', String(at), { ...json, conditions: json.conditions.toSpliced(at, 1) }]);
    const turned = { kind: kind === 'when' ? 'unless' : 'when', body } as PolicyJson['conditions'][number];
    found.push(['condition turned', String(at), { ...json, conditions: json.conditions.with(at, turned) }]);
  }
  let number = 0;
  for (const { node, at } of places(json.conditions, ['conditions'])) {
    const [operator = ''] = Object.keys(node);
    const where = `#${number++}`;
    const put = (name: string, by: unknown) => found.push([name, where, replaced(json, at, by)]);
    if (operator in inverted) put('comparison turned', { [inverted[operator] as string]: node[operator] });
    if (operator in shifted) put('bound shifted', { [shifted[operator] as string]: node[operator] });
    if (operator in joined) {
      const { left, right } = node[operator] as { left: Record<string, unknown>; right: unknown };
      put('and for or', { [joined[operator] as string]: node[operator] });
      put('has' in left ? '`has` dropped' : 'clause dropped', right);
      put('clause dropped', left);
    }
    if (operator === '!') put('negation dropped', (node['!'] as { arg: unknown }).arg);
    if (operator === 'contains') put('another set', { contains: otherSet(node.contains) });
    if (operator === 'Value' && ['string', 'number'].includes(typeof node.Value))
      put('value changed', {
        Value: typeof node.Value === 'number' ? node.Value * 10 + 1 : `${String(node.Value)}-mutant`,
      });
  }
  return found;
}

/** `untrusted` where `trusted` stood. */
function otherSet(operands: unknown): unknown {
  const text = JSON.stringify(operands);
  return JSON.parse(
    text.includes('"untrusted"') ? text.replace('"untrusted"', '"trusted"') : text.replace('"trusted"', '"untrusted"'),
  );
}

function cedarMutants(
  manifest: PolicyManifest,
  split: (text: string) => { source: string; offset: number }[],
): Mutant[] {
  return split(manifest.cedar).flatMap(({ source, offset }, index) => {
    const parsed = policyToJson(source);
    if (parsed.type === 'failure') return [];
    const id = parsed.json.annotations?.id ?? String(index);
    return policyMutants(parsed.json).flatMap(([operator, what, changed]) => {
      const text = changed && policyToText(changed);
      if (text?.type === 'failure') return [];
      const cedar = manifest.cedar.slice(0, offset) + (text?.text ?? '') + manifest.cedar.slice(offset + source.length);
      if (text && sameText(text.text, parsed.json)) return [];
      return {
        operator,
        id: `${operator}: policy ${manifest.name}#${id}${what && ` ${what}`}`,
        manifest: { ...manifest, cedar },
      };
    });
  });
}

const sameText = (text: string, json: PolicyJson) => {
  const before = policyToText(json);
  return before.type === 'success' && before.text === text;
};

export function mutantsOf(
  manifests: readonly Manifest[],
  split: (text: string) => { source: string; offset: number }[],
): Mutant[] {
  return manifests.flatMap((manifest) => {
    if (manifest.kind === 'Template' || manifest.kind === 'Group') return allowMutants(manifest);
    if (manifest.kind === 'ToolServer') return serverMutants(manifest);
    return manifest.kind === 'Policy' ? cedarMutants(manifest, split) : [];
  });
}
