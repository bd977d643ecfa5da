import { type EntityUidJson, type PolicyJson, policySetTextToParts, validate } from '@cedar-policy/cedar-wasm/nodejs';
import { effect } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import { nestingProblem, parsePolicy } from './cedar/index.ts';
import { FLOW_RULES, flowGroups, flowRules } from './flow/index.ts';
import { argumentReads, calendarsNamed, isTyped, type Read, situationReads } from './reads.ts';
import { buildSchema, type Subject } from './schema.ts';
import { concerns, isAboutUsers } from './scope.ts';
import { type AllowPermit, groupPermits, templatePermits } from './templates.ts';

export interface LoadedPolicy {
  id: string;
  /** Its whole numbers are exact: those beyond 2^53 are bigints. */
  json: PolicyJson;
  /** As the official engine takes it: the text as written, or the JSON that a template was compiled to. */
  source: string | PolicyJson;
  /** Present on permits made from the `allow` of a template or group. */
  permit: AllowPermit | null;
  /** False: about tasks. */
  isAboutUsers: boolean;
  reads: Read[];
  /** Members of the situation that it looks at. */
  situation: readonly string[];
  /** A forbid with a tier of 2 or 3: while it holds, what is permitted has at least that tier. It refuses nothing. */
  raises: boolean;
}

export interface LoadedPolicies {
  policies: ReadonlyMap<string, LoadedPolicy>;
  schema: ReturnType<typeof buildSchema>;
}

/**
 * All policies of a workspace: the permits that templates and groups stand for, and those that are written. Parsed, and validated
 * unless they have been, by the official engine. Throws `policy.invalid`.
 */
export function loadPolicies(
  snapshot: Pick<Snapshot, 'templates' | 'groups' | 'policies' | 'calendars'>,
  subjects: ReadonlyMap<string, Subject>,
  options: { validated: boolean },
): LoadedPolicies {
  const all = [...subjects.values()];
  const templates = [...snapshot.templates.values()];
  const schemas = { Task: buildSchema(all, templates, 'Task'), User: buildSchema(all, templates, 'User') };
  const policies = new Map<string, LoadedPolicy>();
  const permits = [
    ...templates.flatMap((template) => templatePermits(template, subjects)),
    ...[...snapshot.groups.values()].flatMap((group) => groupPermits(group, subjects)),
  ];
  for (const permit of permits) {
    const { id, policy, holder } = permit;
    const isAboutUsers = holder.kind === 'Group';
    policies.set(id, {
      id,
      json: policy,
      source: policy,
      permit,
      reads: [],
      situation: [],
      raises: false,
      isAboutUsers,
    });
  }
  const files = new Map<string, { name: string; cedar: string }>([
    [FLOW_RULES, { name: FLOW_RULES, cedar: flowRules() }],
    ...snapshot.policies,
  ]);
  for (const file of files.values()) {
    for (const policy of parse(file.name, file.cedar)) {
      if (policies.has(policy.id)) throw invalid(file.name, 1, `two policies have the id "${policy.id}"`);
      const loaded = {
        ...policy,
        permit: null,
        reads: argumentReads(policy.json),
        situation: situationReads(policy.json),
        raises: raises(policy.json),
        isAboutUsers: isAboutUsers(policy.json),
      };
      const problem = blindSpot(loaded, all) ?? calendarProblem(loaded, snapshot.calendars);
      if (problem) throw invalid(file.name, lineOf(file.cedar, file.cedar.indexOf(policy.source)), problem);
      policies.set(policy.id, loaded);
    }
  }
  if (!options.validated) {
    for (const { ref, server, strangeRoles } of all) {
      const [argument] = strangeRoles;
      if (argument !== undefined) {
        const tool = ref.slice(server.length + 1);
        throw new GatehouseError(
          'bad-request',
          'policy.invalid',
          `ToolServer ${server}: tools.${tool}.arguments names "${argument}", which ${ref} does not have. Correct the name.`,
          { extra: { kind: 'ToolServer', name: server } },
        );
      }
    }
    const [users, tasks] = [true, false].map(
      (wanted) => new Map([...policies].filter(([, policy]) => policy.isAboutUsers === wanted)),
    );
    check(schemas.Task, tasks ?? policies, files);
    check(schemas.User, users ?? policies, files);
  }
  return { policies, schema: schemas.Task };
}

/** What the policy looks at and no tool in its scope lets it see. Tools that nobody has seen yet may still bring it. */
function blindSpot({ json, reads }: LoadedPolicy, subjects: Subject[]): string | undefined {
  if (json.action.op === '==' && 'entity' in json.action && isGroup(json.action.entity))
    return 'a group of actions is never == one action, so that it would never apply; write `action in` instead of `action ==`';
  const concerned = subjects.filter((subject) => concerns(json, subject));
  if (concerned.length === 0 || concerned.some(({ described }) => !described)) return undefined;
  const blind = reads.find((read) => !concerned.some((subject) => isTyped(read, subject.arguments)));
  return (
    blind &&
    `no tool that it is about has an argument "${blind.path.join('.')}" of a type that policies can compare, so that it would never apply`
  );
}

/** A name that no calendar has is never open: what is permitted in it never is, what is forbidden outside of it always. */
function calendarProblem({ json }: LoadedPolicy, calendars: Snapshot['calendars']): string | undefined {
  const strange = calendarsNamed(json).find((name) => !calendars.has(name));
  return strange === undefined
    ? undefined
    : `there is no calendar "${strange}"; declare one (kind: Calendar), or correct the name`;
}

const raises = ({ effect, annotations }: PolicyJson) =>
  effect === 'forbid' && (annotations?.tier === '2' || annotations?.tier === '3');

function isGroup(action: EntityUidJson): boolean {
  const { id } = '__entity' in action ? action.__entity : action;
  return effect.safeParse(id).success || flowGroups.some((group) => group === id);
}

function parse(file: string, text: string): { id: string; json: PolicyJson; source: string }[] {
  const nesting = nestingProblem(text);
  if (nesting !== undefined) throw invalid(file, 1, nesting);
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') {
    const [error] = parts.errors;
    const start = error?.sourceLocations?.[0]?.start ?? 0;
    throw invalid(file, lineOf(text, start), [error?.message, error?.help].filter(Boolean).join('; '));
  }
  if (parts.policy_templates.length > 0)
    throw invalid(file, 1, 'policy templates with slots are not accepted here; write permission templates instead');
  return parts.policies.map((source, index) => {
    const line = lineOf(text, text.indexOf(source));
    const parsed = parsePolicy(source);
    if ('problem' in parsed) throw invalid(file, line, parsed.problem);
    const { tier, id } = parsed.json.annotations ?? {};
    if (tier !== undefined && !['1', '2', '3', '4'].includes(tier))
      throw invalid(file, line, `@tier must be "1" to "4", not "${tier}"`);
    return { id: `${file}#${id ?? index}`, json: parsed.json, source };
  });
}

function check(
  schema: ReturnType<typeof buildSchema>,
  policies: Map<string, LoadedPolicy>,
  files: ReadonlyMap<string, { cedar: string }>,
): void {
  const answer = validate({
    schema,
    policies: { staticPolicies: Object.fromEntries([...policies].map(([id, { source }]) => [id, source])) },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') throw invalid('(schema)', 1, answer.errors.map(({ message }) => message).join('; '));
  const [error] = answer.validationErrors;
  if (!error) return;
  const [file = '', which = ''] = error.policyId.split('#');
  const text = files.get(file)?.cedar ?? '';
  const parts = text ? policySetTextToParts(text) : undefined;
  const source =
    parts?.type === 'success'
      ? (parts.policies.find((part) => part.includes(`@id("${which}")`)) ?? parts.policies[Number(which)])
      : undefined;
  throw invalid(
    file,
    source ? lineOf(text, text.indexOf(source)) : 1,
    [error.error.message, error.error.help].filter(Boolean).join('; '),
  );
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, Math.max(0, offset)).split('\n').length;
}

function invalid(file: string, line: number, problem: string): GatehouseError {
  return new GatehouseError('bad-request', 'policy.invalid', `Policy ${file}, line ${line}: ${problem}`, {
    extra: { file, line },
  });
}
