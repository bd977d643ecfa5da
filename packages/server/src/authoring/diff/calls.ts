import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import {
  deviationKind,
  isAllowedBy,
  type SupposedCall,
  type SupposedSituation,
  type TemplateManifest,
} from '@gatehouse/protocol';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { type ArgumentsType, type ArgumentType, directRef, provenances, type Subject } from '../../policy/index.ts';
import { STAND_IN_ENVIRONMENT } from '../stand-ins.ts';
import { diffLimits } from './limits.ts';
import { type Mentioned, type Mentions, mentionsOf } from './mentions.ts';
import { NOW, type Side } from './side.ts';
import { ABSENT, boundaryValues, define, distinct, OTHER, plainArguments, textsOf, type Value } from './values.ts';

/** A kind of task and a tool, with the policies of which it may matter whether they apply. */
export interface Pair {
  template: string;
  tool: string;
  /** As they are on either side; each is tried with everything that it looks at. */
  active: readonly PolicyJson[];
  /** All others that are written about the tool: what they ask for has to be met before anything else is noticed. */
  others: readonly PolicyJson[];
  /** Names of groups and emails of people that are of concern, for whom a task may act. */
  users: readonly { email: string; groups: string[] }[];
  /** Moments at which a calendar is open on one side only. */
  moments: readonly number[];
}

interface Draft {
  agent: JsonObject;
  user?: { email: string; groups: string[] };
  parameters: JsonObject;
  args: JsonObject;
  situation: SupposedSituation;
}

type Factor = { values: readonly Value[]; put(draft: Draft, value: Value): void };

/** One call for each way in which a template allows the tool. */
export function plainCalls({ template, tool }: Pair, sides: readonly Side[]): SupposedCall[] {
  return plainDrafts(template, tool, sides).map((draft) => callOf(draft, template, tool));
}

function plainDrafts(template: string, tool: string, sides: readonly Side[]): Draft[] {
  const place = placesOf(sides, tool)[0] ?? STAND_IN_ENVIRONMENT;
  return distinct(sides.flatMap((side) => draftsOf(side, template, tool, place)));
}

/**
 * Calls of one pair, the plainest first: with values on either side of everything that its policies compare. `passes` says whether either
 * side lets a call through: where the plainest do not pass, one that does is looked for first.
 */
export function* callsOf(
  pair: Pair,
  sides: readonly Side[],
  passes: (call: SupposedCall) => boolean,
): Generator<SupposedCall> {
  const { template, tool, active, others } = pair;
  const subjects = sides.flatMap(({ subjects: all }) => all.get(tool) ?? []);
  const drafts = plainDrafts(template, tool, sides);
  if (!drafts.some((draft) => passes(callOf(draft, template, tool)))) {
    const everything = mentionsOf([...active, ...others]);
    const factors = factorsOf(everything, everything, subjects, pair, sides);
    drafts.push(...passing(drafts, factors, (draft) => passes(callOf(draft, template, tool))));
  }
  const seen = new Set<string>();
  const emit = function* (draft: Draft): Generator<SupposedCall> {
    const call = callOf(draft, template, tool);
    const key = JSON.stringify(call);
    if (seen.has(key)) return;
    seen.add(key);
    yield call;
  };
  for (const draft of drafts) {
    yield* emit(draft);
    yield* emit({ ...draft, situation: { untrusted: true, sensitive: ['personal'], provenance: 'untrusted' } });
    for (const environment of placesOf(sides, tool)) yield* emit({ ...draft, agent: { ...draft.agent, environment } });
    for (const user of pair.users) yield* emit({ ...draft, user });
    for (const moment of pair.moments)
      yield* emit({ ...draft, situation: { ...draft.situation, now: new Date(moment).toISOString() } });
  }
  const all = mentionsOf(active);
  for (const policy of active) {
    const mentions = mentionsOf([policy]);
    const factors = factorsOf(mentions, all, subjects, pair, sides);
    for (const draft of drafts)
      for (const choice of choices(factors)) {
        yield* emit(vary(draft, factors, choice));
      }
  }
}

function vary(draft: Draft, factors: readonly Factor[], choice: readonly Value[]): Draft {
  const varied = structuredClone(draft);
  for (const [at, factor] of factors.entries()) factor.put(varied, choice[at] as Value);
  return varied;
}

function passing(drafts: readonly Draft[], factors: readonly Factor[], passes: (draft: Draft) => boolean): Draft[] {
  for (const draft of drafts)
    for (const choice of choices(factors)) {
      const varied = vary(draft, factors, choice);
      if (passes(varied)) return [varied];
    }
  return [];
}

function callOf({ agent, user, parameters, args, situation }: Draft, template: string, tool: string): SupposedCall {
  return {
    agent: agent as NonNullable<SupposedCall['agent']>,
    template,
    ...(Object.keys(parameters).length > 0 && { parameters: parameters as NonNullable<SupposedCall['parameters']> }),
    ...(user && { user }),
    tool,
    arguments: args,
    ...(Object.keys(situation).length > 0 && { situation }),
  };
}

const placesOf = (sides: readonly Side[], tool: string): string[] =>
  distinct(
    sides.flatMap(({ workspace: { servers, credentialProviders } }) => {
      const [name = ''] = tool.split(/[/#]/);
      if (tool === directRef(name)) return credentialProviders.get(name)?.environments ?? [];
      return servers.get(name)?.manifest.environments ?? [];
    }),
  ).slice(0, diffLimits.callers);

/** One call for each way in which the template allows the tool: every condition holds, and nothing speaks against it. */
function draftsOf({ workspace, subjects }: Side, templateName: string, ref: string, environment: string): Draft[] {
  const template = workspace.templates.get(templateName);
  const subject = subjects.get(ref);
  if (!template || !subject) return [];
  const [server = '', name = ''] = ref.split('/');
  const schema = workspace.servers.get(server)?.tools.get(name)?.definition?.inputSchema;
  const args = ref.includes('#') ? plainFeature(subject) : plainArguments(schema, subject.arguments);
  const blueprint = [...workspace.blueprints.values()].find(({ templates }) => templates.includes(templateName));
  const agent: JsonObject = { environment, ...(blueprint && { blueprint: blueprint.name }) };
  const situation: SupposedSituation = Object.keys(subject.roles).length > 0 ? { provenance: 'stated' } : {};
  const ways = template.allow.filter((entry) => isAllowedBy(entry, subject));
  return (ways.length > 0 ? ways : [{ when: {} }]).map(({ when = {} }) => {
    const draft: Draft = { agent, parameters: plainParameters(template), args: structuredClone(args), situation };
    for (const [argument, value] of Object.entries(when)) {
      const parameter = typeof value === 'string' && value.startsWith('$') ? value.slice(1) : undefined;
      if (parameter === undefined) define(draft.args, argument, value);
      else if (fitsParameter(template, parameter, draft.args[argument]))
        define(draft.parameters, parameter, draft.args[argument] as Json);
      else if (Object.hasOwn(draft.parameters, parameter))
        define(draft.args, argument, draft.parameters[parameter] as Json);
    }
    return draft;
  });
}

const plainFeature = ({ arguments: types }: Subject): JsonObject =>
  Object.fromEntries(
    Object.entries(types).flatMap(([name, { type }]) => (type.kind === 'String' ? [[name, 'text']] : [])),
  );

const plainOf = { string: 'text', integer: 1, boolean: true } as const;

const plainParameters = ({ parameters }: TemplateManifest): JsonObject =>
  Object.fromEntries(Object.entries(parameters).map(([name, { type }]) => [name, plainOf[type]]));

function fitsParameter({ parameters }: TemplateManifest, name: string, value: unknown): boolean {
  const type = Object.hasOwn(parameters, name) ? parameters[name]?.type : undefined;
  return type === 'integer' ? Number.isSafeInteger(value) : type !== undefined && typeof value === type;
}

function factorsOf(
  own: Mentions,
  all: Mentions,
  subjects: readonly Subject[],
  pair: Pair,
  sides: readonly Side[],
): Factor[] {
  const factors: Factor[] = [];
  const roles = distinct(subjects.flatMap((subject) => Object.keys(subject.roles)));
  for (const path of own.paths.keys()) {
    const mentioned = all.paths.get(path) ?? [];
    const [root, first = '', ...rest] = path.split('.');
    const factor =
      root === 'context' && first === 'arguments'
        ? argumentFactor(rest, mentioned, subjects)
        : root === 'principal'
          ? principalFactor(first, rest, mentioned, pair, sides)
          : root === 'context'
            ? situationFactor(first, rest, mentioned, roles, all)
            : undefined;
    if (factor && factor.values.length > 0) factors.push(factor);
  }
  for (const type of ['Environment', 'Blueprint', 'Agent'] as const) {
    const named = own.entities.get(type) ?? [];
    if (named.length === 0) continue;
    const member = type === 'Agent' ? 'name' : type.toLowerCase();
    const places = type === 'Environment' ? placesOf(sides, pair.tool) : [];
    const values = distinct<Value>([ABSENT, ...named, ...places]).slice(0, diffLimits.values);
    factors.push({
      values,
      put: ({ agent }, value) => {
        if (value !== ABSENT) agent[member] = value;
      },
    });
  }
  return factors;
}

function argumentFactor(
  path: readonly string[],
  mentioned: readonly Mentioned[],
  subjects: readonly Subject[],
): Factor | undefined {
  for (const { arguments: types } of subjects) {
    const found = typeAt(types, path);
    if (!found) continue;
    const values = boundaryValues(found.type, mentioned, found.required);
    return { values, put: ({ args }, value) => setAt(args, path, value) };
  }
  return undefined;
}

function typeAt(types: ArgumentsType, [name, ...rest]: readonly string[]): ArgumentsType[string] | undefined {
  const found = name !== undefined && Object.hasOwn(types, name) ? types[name] : undefined;
  if (!found || rest.length === 0) return found;
  return found.type.kind === 'Record' ? typeAt(found.type.attributes, rest) : undefined;
}

function setAt(object: JsonObject, [name = '', ...rest]: readonly string[], value: Value): void {
  if (rest.length > 0) {
    const inner = Object.hasOwn(object, name) && isJsonObject(object[name]) ? object[name] : {};
    define(object, name, inner);
    setAt(inner, rest, value);
  } else if (value === ABSENT) delete object[name];
  else define(object, name, value);
}

function principalFactor(
  member: string,
  rest: readonly string[],
  mentioned: readonly Mentioned[],
  { template }: Pair,
  sides: readonly Side[],
): Factor | undefined {
  if (member === 'risk')
    return {
      values: ['medium', 'low', 'high'],
      put: ({ agent }, value) => void define(agent, 'risk', value as Json),
    };
  if (member === 'owner')
    return {
      values: [...mentioned.flatMap(textsOf), 'somebody@example.test'],
      put: ({ agent }, value) => void define(agent, 'owner', value as Json),
    };
  const [name] = rest;
  if (member !== 'parameters' || name === undefined) return undefined;
  const templates = sides.flatMap(({ workspace }) => workspace.templates.get(template) ?? []);
  const declared = templates.find(({ parameters: own }) => Object.hasOwn(own, name))?.parameters[name];
  if (!declared) return undefined;
  const kind = ({ string: 'String', integer: 'Long', boolean: 'Boolean' } as const)[declared.type];
  const type = { kind } as ArgumentType;
  // As it is first: so it fits the argument that is tied to it.
  const values = [KEEP, ...boundaryValues(type, mentioned, declared.required), ...(kind === 'Long' ? [2] : [])];
  return {
    values: distinct(values).slice(0, diffLimits.values),
    put: (draft, value) => {
      if (value !== KEEP) setAt(draft.parameters, [name], value);
    },
  };
}

const KEEP = '(as it is)';

function situationFactor(
  member: string,
  rest: readonly string[],
  mentioned: readonly Mentioned[],
  roles: readonly string[],
  all: Mentions,
): Factor | undefined {
  const put = (change: (value: Value) => SupposedSituation) => (draft: Draft, value: Value) => {
    if (value !== ABSENT) draft.situation = { ...draft.situation, ...change(value) };
  };
  const texts = mentioned.flatMap(textsOf);
  if (member === 'now') {
    const times = texts.map((text) => Date.parse(text)).filter(Number.isFinite);
    const values = times.flatMap((at) => [at - 1_000, at, at + 1_000]);
    return {
      values: [NOW, ...values].slice(0, diffLimits.values),
      put: put((at) => ({ now: new Date(at as number).toISOString() })),
    };
  }
  if (member === 'calendars') {
    const values = [[], ...texts.map((name) => [name]), texts];
    return {
      values: distinct<Value>(values).slice(0, diffLimits.values),
      put: put((open) => ({ calendars: open as string[] })),
    };
  }
  if (member === 'address') {
    const values: Value[] = [ABSENT, ...texts.map((text) => text.split('/')[0] ?? text), '203.0.113.7'];
    return { values, put: put((address) => ({ address: address as string })) };
  }
  if (member === 'ticket' || member === 'changeRequest') {
    if (rest.length === 0) return undefined;
    const states = all.paths.get(`context.${member}.state`)?.flatMap(textsOf) ?? [];
    const ids = all.paths.get(`context.${member}.id`)?.flatMap(textsOf) ?? [];
    const values: Value[] = [
      ABSENT,
      ...[...states, OTHER].flatMap((state) => [...ids, 'T-1'].map((id) => ({ id, state }) as Json)),
    ];
    return {
      values: values.slice(0, diffLimits.values),
      put: put((value) => ({ [member]: value }) as SupposedSituation),
    };
  }
  if (member === 'flow' && rest[0] === 'untrusted')
    return { values: [false, true], put: put((untrusted) => ({ untrusted: untrusted as boolean })) };
  if (member === 'flow' && rest[0] === 'sensitive') {
    const values: Value[] = [[], ...(texts.length > 0 ? texts : ['personal']).map((kind) => [kind])];
    return { values, put: put((sensitive) => ({ sensitive: sensitive as string[] })) };
  }
  if (member === 'firstUse')
    return { values: [false, true], put: put((firstUse) => ({ firstUse: firstUse as boolean })) };
  if (member === 'anomalous' || member === 'deviations') {
    const known = texts.filter((text) => deviationKind.safeParse(text).success);
    const values: Value[] = [[], ...(known.length > 0 ? known : ['hour']).map((kind) => [kind])];
    return { values, put: put((deviations) => ({ deviations }) as SupposedSituation) };
  }
  if (member !== 'provenance' || roles.length === 0) return undefined;
  const single = (roles.length > 1 ? roles : []).flatMap((argument) =>
    ['trusted', 'untrusted', 'unknown'].map((origin) => ({
      ...Object.fromEntries(roles.map((each) => [each, 'stated'])),
      [argument]: origin,
    })),
  );
  return {
    values: [...provenances, ...single],
    put: put((provenance) => ({ provenance }) as SupposedSituation),
  };
}

/** All of them together while there is room; else each by itself, and others evenly taken from all. */
function* choices(factors: readonly Factor[]): Generator<Value[]> {
  const counts = factors.map(({ values }) => values.length);
  const total = counts.reduce((product, count) => product * count, 1);
  const at = (index: number): Value[] => {
    let rest = index;
    return factors.map(({ values }, factor) => {
      const count = counts[factor] as number;
      const value = values[rest % count] as Value;
      rest = Math.floor(rest / count);
      return value;
    });
  };
  if (total > diffLimits.callsOfOne)
    for (const [factor, { values }] of factors.entries()) for (const value of values) yield at(0).with(factor, value);
  const step = Math.max(1, Math.ceil(total / diffLimits.callsOfOne));
  // Odd, so that it meets every value of a factor with an even number of them.
  const stride = step > 1 && step % 2 === 0 ? step + 1 : step;
  for (let index = 0; index < total; index += stride) yield at(index);
}
