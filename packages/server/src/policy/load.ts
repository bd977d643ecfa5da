import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { effect, type PolicyProblem, type TemplateManifest } from '@gatehouse/protocol';

import { GatehouseError } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import { builtInPolicies } from './built-in-policies.ts';
import { flowGroups } from './flow/index.ts';
import { nearest } from './nearest.ts';
import { listOf } from './obligations.ts';
import { check } from './official-check.ts';
import { invalidPolicies, problemIn } from './problems.ts';
import { calendarsNamed, isTyped, type Read } from './reads.ts';
import { buildSchema, type Subject } from './schema.ts';
import { concerning } from './scope.ts';
import { placeOf } from './source-text.ts';
import { type AllowPermit, groupPermits, templatePermits } from './templates.ts';
import { readWritten, type WrittenFile, wordIn } from './written.ts';

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

type Given = Pick<Snapshot, 'templates' | 'groups' | 'policies' | 'calendars' | 'servers' | 'approvalRules'> &
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
  const files = new Map<string, WrittenFile>([
    ...builtInPolicies(snapshot.environments?.values() ?? []).map((file) => [file.name, file] as const),
    ...snapshot.policies,
  ]);
  for (const file of files.values()) {
    const { name, cedar } = file;
    for (const policy of readWritten(file, problems)) {
      const place = () => placeOf(cedar, policy.offset, policy.offset + policy.source.length);
      const of = { name, policy: policy.id };
      if (policies.has(policy.id)) {
        problems.push(
          problemIn(of, place(), `two policies have the id "${policy.id}"`, 'give one of them another @id'),
        );
        continue;
      }
      const blind =
        blindSpot(policy, all) ??
        strangeCalendar(policy, snapshot.calendars) ??
        strangeRule(policy, snapshot.approvalRules);
      if (blind) problems.push(problemIn(of, wordIn(cedar, policy, blind.word) ?? place(), blind.message, blind.help));
      else policies.set(policy.id, policy);
    }
  }
  const schemas = schemasOf(all, templates, problems);
  if (!schemas) return { policies, schema: {}, problems };
  if (!options.validated) {
    problems.push(...all.flatMap(strangeRolesOf), ...strangeRulesOf(snapshot));
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
  if (reads.length === 0) return undefined;
  const concerned = subjects.filter(concerning(json));
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

/** Whoever names a rule that is not there would have nobody to ask. */
function strangeRule({ json }: Pick<LoadedPolicy, 'json'>, rules: Snapshot['approvalRules']): BlindSpot | undefined {
  const strange = listOf(json.annotations?.approvers).find((name) => !rules.has(name));
  return strange === undefined ? undefined : { word: strange, ...noRule(strange, rules) };
}

function noRule(name: string, rules: Snapshot['approvalRules']): Pick<BlindSpot, 'message' | 'help'> {
  const near = nearest(name, rules.keys());
  return {
    message: `there is no approval rule "${name}"`,
    help: near ? `did you mean "${near}"?` : 'declare one (kind: ApprovalRule), or correct the name',
  };
}

/** The same of templates, groups and tools. */
function strangeRulesOf({ templates, groups, servers, approvalRules }: Given): PolicyProblem[] {
  const named = [
    ...[...templates.values(), ...groups.values()].flatMap(({ kind, name, allow }) =>
      allow.map(({ approvers }, at) => ({ kind, name, path: `allow[${at}].approvers`, approvers })),
    ),
    ...[...servers.values()].flatMap(({ name, manifest }) =>
      Object.entries(manifest.tools).map(([tool, { approvers }]) => ({
        kind: manifest.kind,
        name,
        path: `tools.${tool}.approvers`,
        approvers,
      })),
    ),
  ];
  return named.flatMap(({ approvers, ...of }) =>
    approvers === undefined || approvalRules.has(approvers)
      ? []
      : [
          {
            ...of,
            ...noRule(approvers, approvalRules),
            code: 'policy.invalid',
            severity: 'error' as const,
            policy: null,
            place: null,
          },
        ],
  );
}

function isGroup(action: EntityUidJson): boolean {
  const { id } = '__entity' in action ? action.__entity : action;
  return effect.safeParse(id).success || flowGroups.some((group) => group === id);
}
