import type { ArgumentRole } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError, isJsonObject, type Json, parseStrictJson } from '../../platform/index.ts';
import type { ToolLabels } from '../../registry/index.ts';
import { flowLimits } from './limits.ts';
import { type Unit, unitOf } from './units.ts';

/** One value of a result, with what its labels say. */
export interface Part {
  value: string | number;
  isTrusted: boolean;
  role: ArgumentRole | null;
  sensitive: readonly string[];
  /** Of a field: the value is all that stands there. False: it is a text in which anything may stand. */
  isField: boolean;
  /** Of a field: the object in which it stands, counted from 1 within its result. 0: it stands in none. */
  record: number;
  /** Of a field: in what an amount there would be, by the names of the members in which it stands. */
  unit?: Unit;
}

export interface Parts {
  parts: Part[];
  /** False: there was more than is looked at. */
  isWhole: boolean;
}

interface Labels {
  isTrusted: boolean;
  role: ArgumentRole | null;
  sensitive: readonly string[];
}

/** What could stand in it at worst: untrusted if any field is, and every kind of every field. */
export function mostCareful({ trust, sensitive, fields }: ToolLabels['returns']): {
  isTrusted: boolean;
  sensitive: string[];
} {
  const all = Object.values(fields);
  return {
    isTrusted: trust === 'trusted' && all.every((field) => field.trust !== 'untrusted'),
    sensitive: [...new Set([...sensitive, ...all.flatMap((field) => field.sensitive ?? [])])].sort(),
  };
}

/** The paths of `returns.fields` as a tree: `*` is every element or member. */
interface Node {
  label: ToolLabels['returns']['fields'][string] | undefined;
  members: Map<string, Node>;
}

const trees = new WeakMap<object, Node>();

/** The same paths are meant by whoever wraps a list, which MCP's structured results can't be, into `{ result: […] }`. */
function treeOf(fields: ToolLabels['returns']['fields']): Node {
  let tree = trees.get(fields);
  if (tree) return tree;
  tree = { label: undefined, members: new Map() };
  for (const [path, label] of Object.entries(fields)) {
    let at = tree;
    for (const member of path.split('.')) {
      const next = at.members.get(member) ?? { label: undefined, members: new Map() };
      at.members.set(member, next);
      at = next;
    }
    at.label = label;
  }
  trees.set(fields, tree);
  return tree;
}

/**
 * What a result holds, value by value: of its structured part by the labels of its fields. INVARIANT: what stands beside it, or in a text
 * without it, in which no field can be told from another, has the labels of the most careful of them: a server chooses where it says something.
 */
export function partsOf(returns: ToolLabels['returns'], body: Json): Parts {
  const parts: Part[] = [];
  const whole: Labels = { isTrusted: returns.trust === 'trusted', role: null, sensitive: returns.sensitive };
  const careful: Labels = { ...mostCareful(returns), role: null };
  const tree = treeOf(returns.fields);
  let visited = 0;
  let records = 0;
  let isWhole = true;
  let isLabelled = false;

  function add(value: string | number, labels: Labels, isField: boolean, record = 0, unit: Unit = 'whole'): void {
    if (value !== '') parts.push({ value, ...labels, isField, record, ...(unit !== 'whole' && { unit }) });
  }

  function visit(
    value: Json,
    labels: Labels,
    nodes: readonly Node[],
    depth: number,
    isField: boolean,
    record = 0,
    unit: Unit = 'whole',
  ): void {
    if (++visited > flowLimits.valuesPerResult || depth > flowLimits.depth) {
      isWhole = false;
      return;
    }
    if (typeof value === 'string' || typeof value === 'number') add(value, labels, isField, record, unit);
    if (value === null || typeof value !== 'object') return;
    if (Array.isArray(value)) {
      for (const [at, element] of value.entries())
        descend(element, String(at), labels, nodes, depth, isField, record, unit);
      return;
    }
    const own = ++records;
    for (const [key, member] of Object.entries(value)) {
      // A name may be a value: results by name are lists of names. One that a path has is known.
      if (!nodes.some(({ members }) => members.has(key))) add(key, { ...labels, role: null }, isField, own);
      const inIt = unitOf(key);
      descend(member, key, labels, nodes, depth, isField, own, inIt === 'whole' ? unit : inIt);
    }
  }

  function descend(
    value: Json,
    key: string,
    labels: Labels,
    nodes: readonly Node[],
    depth: number,
    isField: boolean,
    record: number,
    unit: Unit,
  ): void {
    // The more exact name last, so that it has the last word.
    const next = ['*', key].flatMap((name) => nodes.flatMap((node) => node.members.get(name) ?? []));
    let own = labels;
    for (const { label } of next) {
      if (!label) continue;
      own = labelled(own, label);
      isLabelled = true;
    }
    visit(value, own, next, depth + 1, isField, record, unit);
  }

  function visitStructured(value: Json): void {
    const wrapped = isJsonObject(value) && Object.keys(value).length === 1 ? value.result : undefined;
    const inner = tree.members.get('result');
    if (wrapped === undefined) visit(value, whole, [tree], 0, true);
    else visit(wrapped, inner?.label ? labelled(whole, inner.label) : whole, inner ? [tree, inner] : [tree], 0, true);
  }

  /** A text that is all there is: by its fields, if it is JSON that has any of them. */
  function visitAlone(text: string): void {
    const parsed = returns.trust === 'trusted' || tree.members.size > 0 ? asJson(text) : undefined;
    if (parsed === undefined) {
      add(text, careful, false);
      return;
    }
    const before = parts.length;
    isLabelled = false;
    visitStructured(parsed);
    if (tree.members.size === 0 || isLabelled) return;
    parts.length = before;
    visit(parsed, careful, [], 0, false);
  }

  function visitBlock(block: Json, isRepeated: ((text: string) => boolean) | undefined): void {
    if (!isJsonObject(block)) {
      visit(block, careful, [], 1, false);
      return;
    }
    const { type, ...members } = block;
    if (type === 'text' && typeof members.text === 'string') {
      const { text, ...rest } = members;
      if (isRepeated === undefined) visitAlone(text as string);
      else if (!isRepeated(text as string)) visit(asJson(text as string) ?? (text as string), careful, [], 0, false);
      visit(rest, careful, [], 1, false);
    } else if (type === 'image' || type === 'audio') {
      const { data, mimeType, ...rest } = members;
      add(`(${type})`, careful, false);
      if (typeof data !== 'string') visit(data ?? null, careful, [], 1, false);
      if (!isMimeType(mimeType)) visit(mimeType ?? null, careful, [], 1, false);
      visit(rest, careful, [], 1, false);
    } else if (type === 'resource' && isJsonObject(members.resource) && typeof members.resource.blob === 'string') {
      const { blob: _blob, ...resource } = members.resource;
      add('(resource)', careful, false);
      visit({ ...members, resource }, careful, [], 1, false);
    } else visit(block, careful, [], 1, false);
  }

  function visitBody(said: Json, depth: number): void {
    if (!isJsonObject(said)) {
      visit(said, careful, [], depth, false);
      return;
    }
    const { content, structuredContent, result, ...rest } = said;
    if (structuredContent !== undefined) visitStructured(structuredContent);
    const isRepeated = structuredContent === undefined ? undefined : repeats(structuredContent);
    if (Array.isArray(content)) for (const block of content) visitBlock(block, isRepeated);
    else if (content !== undefined) visit(content, careful, [], depth + 1, false);
    // A task that is over says its result within what it says of itself.
    if (isJsonObject(result) && depth === 0) visitBody(result, 1);
    else if (result !== undefined) visit(result, careful, [], depth + 1, false);
    for (const [name, member] of Object.entries(rest)) {
      if ((name === 'isError' && typeof member === 'boolean') || (name === 'resultType' && resultTypes.has(member)))
        continue;
      // A name may be a value, but for those that the protocol has there.
      if (!namesOfBodies.has(name)) add(name, careful, false);
      visit(member, careful, [], depth + 1, false);
    }
  }

  visitBody(body, 0);
  return { parts, isWhole };
}

const isMimeType = (value: Json | undefined) =>
  value === undefined || (typeof value === 'string' && /^[a-z]{1,20}\/[\w.+-]{1,80}$/i.test(value));

const resultTypes: ReadonlySet<Json | undefined> = new Set(['complete', 'task', 'input_required']);

/** Of results, of tasks and of errors. */
const namesOfBodies: ReadonlySet<string> = new Set(
  (
    '_meta isError resultType contents messages description completion task tasks nextCursor ttlMs cacheScope ' +
    'taskId status statusMessage createdAt lastUpdatedAt ttl pollInterval pollIntervalMs inputRequests requestState error ' +
    'code message data action model role stopReason'
  ).split(' '),
);

/** Whether a text says the structured part, or a part of it, once more. */
function repeats(structured: Json): (text: string) => boolean {
  let known: Set<string> | undefined;
  return (text) => {
    known ??= new Set(partsWithin(structured, 2).flatMap((each) => [writingOf(each), asText(each)]));
    const writing = writingOf(asJson(text) ?? text);
    return writing !== '' && known.has(writing);
  };
}

function labelled(labels: Labels, { trust, sensitive, role }: NonNullable<Node['label']>): Labels {
  return {
    isTrusted: trust === undefined ? labels.isTrusted : trust === 'trusted',
    sensitive: sensitive ?? labels.sensitive,
    role: role ?? labels.role,
  };
}

/** One for equal values; what has no canonical form (half a surrogate pair, too many levels) equals nothing. */
function writingOf(value: Json): string {
  try {
    return canonicalJson(value);
  } catch {
    return '';
  }
}

const asText = (value: Json) =>
  typeof value === 'number' || typeof value === 'boolean' ? writingOf(String(value)) : '';

const MAX_REPEATED = 2_000;

function partsWithin(value: Json, levels: number): Json[] {
  const all: Json[] = [value];
  if (levels > 0 && typeof value === 'object' && value !== null)
    for (const member of Object.values(value)) {
      if (all.length >= MAX_REPEATED) break;
      all.push(...partsWithin(member, levels - 1));
    }
  return all;
}

/** As strictly as the gate reads: what two readers could take for two things is a text. */
function asJson(text: string): Json | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    return parseStrictJson(Buffer.from(text), flowLimits.depth, 'rounded');
  } catch (error) {
    if (error instanceof GatehouseError) return undefined;
    throw error;
  }
}
