import {
  type DetailedError,
  type EntityUidJson,
  type PolicyJson,
  policySetTextToParts,
  type ValidationError,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import {
  effect,
  type Place,
  type PolicyManifest,
  type PolicyProblem,
  type TemplateManifest,
} from '@gatehouse/protocol';

import { GatehouseError } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import { builtInPolicies } from './built-in-policies.ts';
import { nestingProblem, parsePolicy } from './cedar/index.ts';
import { flowGroups } from './flow/index.ts';
import { nearest } from './nearest.ts';
import { obligationProblem } from './obligations.ts';
import { isObserveOnly } from './observe-only.ts';
import { invalidPolicies, problemIn, problemsFrom, withoutId } from './problems.ts';
import { argumentReads, calendarsNamed, isTyped, type Read, situationReads } from './reads.ts';
import { buildSchema, type Subject } from './schema.ts';
import { concerns, isAboutUsers } from './scope.ts';
import { type PolicyText, placeOf, splitPolicies } from './source-text.ts';
import { type AllowPermit, groupPermits, templatePermits } from './templates.ts';

export interface LoadedPolicy {
  id: string;
  /** Its whole numbers are exact: those beyond 2^53 are bigints. */
  json: PolicyJson;
  /** As the official engine takes it: the text as written, or the JSON that a template was compiled to. */
  source: string | PolicyJson;
  /** Of the first character of a written policy in its text. */
  offset: number;
  /** Present on permits made from the `allow` of a template or group. */
  permit: AllowPermit | null;
  /** False: about tasks. */
  isAboutUsers: boolean;
  reads: Read[];
  /** Members of the situation that it looks at. */
  situation: readonly string[];
  /** Evaluated, and never part of a decision. */
  observeOnly: boolean;
  /** A forbid with a tier of 2 or 3: while it holds, what is permitted has at least that tier. It refuses nothing. */
  raises: boolean;
}

export interface LoadedPolicies {
  policies: ReadonlyMap<string, LoadedPolicy>;
  schema: ReturnType<typeof buildSchema>;
}

type Given = Pick<Snapshot, 'templates' | 'groups' | 'policies' | 'calendars'> &
  Partial<Pick<Snapshot, 'environments'>>;

/**
 * All policies of a workspace: the permits that templates and groups stand for, and those that are written. Parsed, and validated
 * unless they have been, by the official engine. Throws `policy.invalid`, with all that is wrong in `extra.problems`.
 */
export function loadPolicies(
  snapshot: Given,
  subjects: ReadonlyMap<string, Subject>,
  options: { validated: boolean },
): LoadedPolicies {
  const { problems, ...loaded } = readPolicies(snapshot, subjects, options);
  if (problems.length > 0) throw invalidPolicies(problems);
  return loaded;
}

/** The same, with what is wrong beside what could be read. */
export function readPolicies(
  snapshot: Given,
  subjects: ReadonlyMap<string, Subject>,
  options: { validated: boolean },
): LoadedPolicies & { problems: PolicyProblem[] } {
  const all = [...subjects.values()];
  const templates = [...snapshot.templates.values()];
  const problems: PolicyProblem[] = [];
  const policies = new Map<string, LoadedPolicy>();
  for (const { id, policy, ...permit } of permitsOf(snapshot, subjects, problems)) {
    const isAboutUsers = permit.holder.kind === 'Group';
    const nothing = { reads: [], situation: [], raises: false, observeOnly: false, offset: 0 };
    const rest = { permit: { id, policy, ...permit }, isAboutUsers, ...nothing };
    policies.set(id, { id, json: policy, source: policy, ...rest });
  }
  const files = new Map<string, Pick<PolicyManifest, 'name' | 'cedar' | 'mode'>>([
    ...builtInPolicies(snapshot.environments?.values() ?? []).map((file) => [file.name, file] as const),
    ...snapshot.policies,
  ]);
  for (const { name, cedar, mode } of files.values()) {
    for (const policy of parse(name, cedar, problems)) {
      const place = placeOf(cedar, policy.offset, policy.offset + policy.source.length);
      const of = { name, policy: policy.id };
      if (policies.has(policy.id)) {
        problems.push(problemIn(of, place, `two policies have the id "${policy.id}"`, 'give one of them another @id'));
        continue;
      }
      const loaded = {
        ...policy,
        permit: null,
        reads: argumentReads(policy.json),
        situation: situationReads(policy.json),
        raises: raises(policy.json),
        observeOnly: isObserveOnly(policy.json.annotations, mode),
        isAboutUsers: isAboutUsers(policy.json),
      };
      const blind = blindSpot(loaded, all) ?? strangeCalendar(loaded, snapshot.calendars);
      if (blind) problems.push(problemIn(of, wordIn(cedar, policy, blind.word) ?? place, blind.message, blind.help));
      else policies.set(policy.id, loaded);
    }
  }
  const schemas = schemasOf(all, templates, problems);
  if (!schemas) return { policies, schema: {}, problems };
  if (!options.validated) {
    problems.push(...all.flatMap(strangeRolesOf));
    for (const aboutUsers of [false, true]) {
      const wanted = new Map([...policies].filter(([, policy]) => policy.isAboutUsers === aboutUsers));
      problems.push(...check(aboutUsers ? schemas.User : schemas.Task, wanted, files, subjects));
    }
  }
  return { policies, schema: schemas.Task, problems };
}

function permitsOf(
  { templates, groups }: Given,
  subjects: ReadonlyMap<string, Subject>,
  problems: PolicyProblem[],
): AllowPermit[] {
  return [
    ...[...templates.values()].map((template) => () => templatePermits(template, subjects)),
    ...[...groups.values()].map((group) => () => groupPermits(group, subjects)),
  ].flatMap((make) => collected(make, problems) ?? []);
}

function schemasOf(subjects: Subject[], templates: TemplateManifest[], problems: PolicyProblem[]) {
  return collected(
    () => ({ Task: buildSchema(subjects, templates, 'Task'), User: buildSchema(subjects, templates, 'User') }),
    problems,
  );
}

/** What one object's own error says, beside those of the others. */
function collected<T>(make: () => T, problems: PolicyProblem[]): T | undefined {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof GatehouseError) || error.kind !== 'bad-request') throw error;
    const { kind = 'Template', name = '', path = '', help = null, problem = error.message } = error.extra;
    problems.push({
      code: error.code,
      severity: 'error',
      kind: String(kind),
      name: String(name),
      policy: null,
      path: String(path),
      place: null,
      message: String(problem),
      help: help === null ? null : String(help),
    });
    return undefined;
  }
}

/** What an operator says of arguments that the tool does not have. */
function strangeRolesOf({ ref, server, strangeRoles, arguments: known }: Subject): PolicyProblem[] {
  const tool = ref.slice(server.length + 1);
  return strangeRoles.map((argument) => {
    const near = nearest(argument, Object.keys(known));
    return {
      code: 'policy.invalid',
      severity: 'error',
      kind: 'ToolServer',
      name: server,
      policy: null,
      path: `tools.${tool}.arguments.${argument}`,
      place: null,
      message: `${ref} does not have an argument "${argument}"`,
      help: near ? `did you mean "${near}"?` : 'correct the name',
    };
  });
}

interface BlindSpot {
  word: string;
  message: string;
  help: string | null;
}

/** What the policy looks at and no tool in its scope lets it see. Tools that nobody has seen yet may still bring it. */
function blindSpot({ json, reads }: Pick<LoadedPolicy, 'json' | 'reads'>, subjects: Subject[]): BlindSpot | undefined {
  if (json.action.op === '==' && 'entity' in json.action && isGroup(json.action.entity))
    return {
      word: 'action',
      message: 'a group of actions is never == one action, so that it would never apply',
      help: 'write `action in` instead of `action ==`',
    };
  const concerned = subjects.filter((subject) => concerns(json, subject));
  if (concerned.length === 0 || concerned.some(({ described }) => !described)) return undefined;
  const blind = reads.find((read) => !concerned.some((subject) => isTyped(read, subject.arguments)));
  if (!blind) return undefined;
  const path = blind.path.join('.');
  const names = new Set(concerned.flatMap((subject) => Object.keys(subject.arguments)));
  const near = nearest(blind.path[0] ?? '', names);
  const owners = subjects.filter((subject) => isTyped(blind, subject.arguments)).map(({ ref }) => ref);
  return {
    word: blind.path.at(-1) ?? 'context',
    message: `no tool that it is about has an argument "${path}" of a type that policies can compare, so that it would never apply`,
    help: near ? `did you mean "${near}"?` : owners.length > 0 ? `${owners.slice(0, 3).join(', ')} has it` : null,
  };
}

/** A name that no calendar has is never open: what is permitted in it never is, what is forbidden outside of it always. */
function strangeCalendar(
  { json }: Pick<LoadedPolicy, 'json'>,
  calendars: Snapshot['calendars'],
): BlindSpot | undefined {
  const strange = calendarsNamed(json).find((name) => !calendars.has(name));
  if (strange === undefined) return undefined;
  const near = nearest(strange, calendars.keys());
  const help = near ? `did you mean "${near}"?` : 'declare one (kind: Calendar), or correct the name';
  return { word: strange, message: `there is no calendar "${strange}"`, help };
}

export const raises = ({ effect, annotations }: PolicyJson) =>
  effect === 'forbid' && (annotations?.tier === '2' || annotations?.tier === '3');

function isGroup(action: EntityUidJson): boolean {
  const { id } = '__entity' in action ? action.__entity : action;
  return effect.safeParse(id).success || flowGroups.some((group) => group === id);
}

/** Where a word stands in a policy, as a member or by itself. */
function wordIn(text: string, { source, offset }: PolicyText, word: string): Place | undefined {
  const at = new RegExp(`(?<![\\w"])"?${word.replaceAll(/[^\w]/g, '\\$&')}(?!\\w)`).exec(source)?.index;
  return at === undefined ? undefined : placeOf(text, offset + at, offset + at + word.length);
}

function parse(
  name: string,
  text: string,
  problems: PolicyProblem[],
): ({ id: string; json: PolicyJson } & PolicyText)[] {
  const start = placeOf(text, 0);
  const nesting = nestingProblem(text);
  if (nesting !== undefined) {
    problems.push(problemIn({ name }, start, nesting));
    return [];
  }
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') {
    problems.push(
      ...parts.errors.flatMap((error) => problemsFrom({ name }, error, { whole: text, source: text, offset: 0 })),
    );
    return [];
  }
  if (parts.policy_templates.length > 0) {
    const message = 'policy templates with slots are not accepted here';
    problems.push(problemIn({ name }, start, message, 'write permission templates instead'));
    return [];
  }
  return splitPolicies(text).flatMap((each, index) => {
    const place = placeOf(text, each.offset, each.offset + each.source.length);
    const parsed = parsePolicy(each.source);
    if ('problem' in parsed) {
      problems.push(problemIn({ name }, place, parsed.problem));
      return [];
    }
    const { tier, id, mode } = parsed.json.annotations ?? {};
    if (tier !== undefined && !['1', '2', '3', '4'].includes(tier))
      problems.push(problemIn({ name }, wordIn(text, each, tier) ?? place, `@tier must be "1" to "4", not "${tier}"`));
    if (mode !== undefined && mode !== 'enforce' && mode !== 'observe')
      problems.push(
        problemIn({ name }, wordIn(text, each, mode) ?? place, `@mode must be "enforce" or "observe", not "${mode}"`),
      );
    const obligations = obligationProblem(parsed.json.annotations);
    if (obligations !== undefined) problems.push(problemIn({ name }, place, obligations));
    return [{ id: `${name}#${id ?? index}`, json: parsed.json, ...each }];
  });
}

function check(
  schema: ReturnType<typeof buildSchema>,
  policies: ReadonlyMap<string, LoadedPolicy>,
  files: ReadonlyMap<string, { cedar: string }>,
  subjects: ReadonlyMap<string, Subject>,
): PolicyProblem[] {
  const answer = validate({
    schema,
    policies: { staticPolicies: Object.fromEntries([...policies].map(([id, { source }]) => [id, source])) },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') {
    const message = answer.errors.map((error) => error.message).join('; ');
    return [{ ...problemIn({ name: '(schema)' }, placeOf('', 0), message), place: null }];
  }
  const named = answer.validationErrors.map(({ policyId, error }) => ({ policyId, error: helped(error, subjects) }));
  return merged(named)
    .flatMap(({ policyId, error }) => {
      const policy = policies.get(policyId);
      return policy ? problemsOf(policy, error, files) : [];
    })
    .sort((a, b) => (a.name === b.name ? (a.place?.line ?? 0) - (b.place?.line ?? 0) : a.name < b.name ? -1 : 1));
}

const MISSING = /attribute `arguments\.(\w+)` in context for \w+::Action::"([^"]*)" not found/;

/** A policy on many tools that looks at an argument which some of them lack has one problem, and not one for each tool. */
function merged(errors: ValidationError[]): ValidationError[] {
  const groups = Map.groupBy(errors, ({ policyId, error }) => {
    const [, argument] = MISSING.exec(error.message) ?? [];
    return JSON.stringify([policyId, error.sourceLocations ?? [], argument ?? error.message]);
  });
  return [...groups.values()].map((group) => {
    const [first] = group as [ValidationError];
    const lacking = new Set(group.flatMap(({ error }) => MISSING.exec(error.message)?.[2] ?? []));
    const [, argument = ''] = MISSING.exec(first.error.message) ?? [];
    if (lacking.size < 2) return first;
    const names = [...lacking].sort();
    const message = `${names.slice(0, 3).join(', ')} and ${Math.max(0, names.length - 3)} more that it is about have no argument "${argument}"`;
    const help = `narrow the action to those that have it, or ask \`context.arguments has ${argument} &&\` first`;
    return {
      ...first,
      error: { ...first.error, message: names.length > 3 ? message : message.replace(' and 0 more', ''), help },
    };
  });
}

function problemsOf(
  policy: LoadedPolicy,
  error: DetailedError,
  files: ReadonlyMap<string, { cedar: string }>,
): PolicyProblem[] {
  const { id, permit, source, offset } = policy;
  if (!permit) {
    const name = id.slice(0, id.indexOf('#'));
    const whole = files.get(name)?.cedar ?? '';
    return problemsFrom({ name, policy: id }, error, { whole, source: String(source), offset });
  }
  const { kind, name } = permit.holder;
  const index = /^\[(-?\d+)\]/.exec(id.slice(kind.length + 1 + name.length))?.[1];
  const message = `${permit.subject}: ${withoutId(error.message)}`;
  const { help } = error;
  const code = 'policy.invalid';
  return [{ code, severity: 'error', kind, name, policy: id, path: `allow[${index}]`, place: null, message, help }];
}

/** The official engine proposes whatever is there; this, what is near, and else what there is. */
function helped(error: DetailedError, subjects: ReadonlyMap<string, Subject>): DetailedError {
  const [, action] = /^for policy `[^`]*`, unrecognized action `\w+::Action::"([^"]*)"`/.exec(error.message) ?? [];
  if (action !== undefined) {
    const near = nearest(action, [...subjects.keys(), ...effect.options, ...flowGroups]);
    const help = near ? `did you mean \`Gatehouse::Action::"${near}"\`?` : 'no registered tool server offers it';
    return { ...error, help };
  }
  const [, attribute = '', ref = ''] = MISSING.exec(error.message) ?? [];
  const known = Object.keys(subjects.get(ref)?.arguments ?? {});
  if (known.length === 0) return error;
  const near = nearest(attribute, known);
  return { ...error, help: near ? `did you mean \`${near}\`?` : `${ref} has ${known.slice(0, 12).join(', ')}` };
}
