import {
  type EntityJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { ControlPolicyManifest, Role } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import { nestingProblem } from '../../policy/index.ts';
import { type ActionGroup, controlActions, type ResourceType } from './actions.ts';
import { builtInPolicies } from './built-in.ts';
import { controlSchema, type GuardedRoute } from './schema.ts';

/** Who asks: a person with their roles and groups, or the local token of the server's host. Agents have no form here. */
export type ControlPrincipal =
  | { type: 'operator' }
  | { type: 'person'; email: string; roles: readonly Role[]; groups: readonly string[] };

/** What is asked about. `owner` is the email of the agent's owner. */
export type ControlResource =
  | { type: 'Workspace' }
  | { type: 'Agent'; name: string; owner: string; environment: string; production: boolean; risk: string }
  | { type: 'Approval'; id: string; owner: string; environment: string; tool: string; named?: readonly string[] }
  | { type: 'Person'; email: string };

export interface ControlRequest {
  principal: ControlPrincipal;
  route: string;
  resource: ControlResource;
  via: string;
  restricted: boolean;
}

export interface ControlDecision {
  allowed: boolean;
  /** Ids of the policies that determined it; none when nothing permitted. */
  policies: string[];
  /** Texts of determining forbids' `@reason` annotations. */
  reasons: string[];
}

export interface ControlPolicies {
  decide(request: ControlRequest): ControlDecision;
}

const BUILT_IN = 'built-in';
const MAX_POLICIES = 1_000;
let instances = 0;

/**
 * Parses and validates the built-in policies and the workspace's, and decides with the official engine: default deny, forbid wins, an
 * error denies. Throws `control-policy.invalid` with the policy's name and line.
 */
export function compileControlPolicies(
  routes: readonly GuardedRoute[],
  workspace: ReadonlyMap<string, ControlPolicyManifest>,
): ControlPolicies {
  const policies = new Map<string, string>();
  const reasons = new Map<string, string>();
  for (const [file, text] of [
    [BUILT_IN, builtInPolicies] as const,
    ...[...workspace.values()].map(({ name, cedar }) => [name, cedar] as const),
  ]) {
    for (const { id, source, reason } of parse(file, text)) {
      const key = file === BUILT_IN ? id : `${file}#${id}`;
      if (policies.has(key)) throw invalid(file, `two policies have the id "${id}"`);
      policies.set(key, source);
      if (reason !== undefined) reasons.set(key, reason);
    }
  }
  if (policies.size > MAX_POLICIES) throw invalid('(all)', `there are more than ${MAX_POLICIES} policies`);
  const staticPolicies = Object.fromEntries(policies);
  const checked = validate({
    schema: controlSchema(routes),
    policies: { staticPolicies },
    validationSettings: { mode: 'strict' },
  });
  if (checked.type === 'failure') throw invalid('(schema)', checked.errors.map(({ message }) => message).join('; '));
  // A policy that can never apply was meant to say something else.
  const impossible = checked.validationWarnings.filter(({ error }) => /impossible/i.test(error.message));
  const [error] = [...checked.validationErrors, ...impossible];
  if (error) throw invalid(error.policyId, [error.error.message, error.error.help].filter(Boolean).join('; '));
  const set = `control-${instances}`;
  let isPrepared = false;
  const prepare = () => {
    if (isPrepared) return;
    const prepared = preparsePolicySet(set, { staticPolicies });
    if (prepared.type === 'failure') throw invalid('(set)', prepared.errors[0]?.message ?? 'it cannot be prepared');
    isPrepared = true;
  };
  const groupOf = new Map(routes.map(({ name, group }) => [name, group]));
  instances++;

  return {
    decide(request) {
      const group = groupOf.get(request.route);
      if (!group || controlActions[group].resource !== request.resource.type)
        return { allowed: false, policies: [], reasons: [] };
      prepare();
      const answer = statefulIsAuthorized({
        principal: principalUid(request.principal),
        action: { type: 'Action', id: request.route },
        resource: resourceUid(request.resource),
        context: { via: request.via, restricted: request.restricted },
        preparsedPolicySetId: set,
        entities: entities(request, group),
      });
      // INVARIANT: a policy that can't be evaluated denies; an error in a forbid would otherwise let through what it forbids.
      if (answer.type === 'failure' || answer.response.diagnostics.errors.length > 0)
        return { allowed: false, policies: [], reasons: ['a policy could not be evaluated'] };
      const determining = answer.response.diagnostics.reason;
      const allowed = answer.response.decision === 'allow';
      return {
        allowed,
        policies: determining,
        reasons: allowed ? [] : determining.flatMap((id) => reasons.get(id) ?? []),
      };
    },
  };
}

/** The most favourable resource of a type: what nobody could do to it, they can do to none. */
export function ownedBy(type: ResourceType, email: string): ControlResource {
  switch (type) {
    case 'Workspace':
      return { type };
    case 'Agent':
      return { type, name: '', owner: email, environment: '', production: false, risk: 'low' };
    case 'Approval':
      return { type, id: '', owner: email, environment: '', tool: '' };
    case 'Person':
      return { type, email: '' };
  }
}

function parse(file: string, text: string): { id: string; source: string; reason: string | undefined }[] {
  const nesting = nestingProblem(text);
  if (nesting !== undefined) throw invalid(file, nesting);
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') {
    const [error] = parts.errors;
    const line = text.slice(0, error?.sourceLocations?.[0]?.start ?? 0).split('\n').length;
    throw invalid(file, [error?.message, error?.help].filter(Boolean).join('; '), line);
  }
  if (parts.policy_templates.length > 0) throw invalid(file, 'policy templates with slots are not accepted here');
  return parts.policies.map((source, index) => {
    const answer = policyToJson(source);
    if (answer.type === 'failure') throw invalid(file, answer.errors[0]?.message ?? 'it cannot be read');
    const { id, reason } = answer.json.annotations ?? {};
    return { id: id ?? String(index), source, reason: reason ?? undefined };
  });
}

const uid = (type: string, id: string) => ({ type, id });
const reference = (type: string, id: string) => ({ __entity: uid(type, id) });

function principalUid(principal: ControlPrincipal) {
  return principal.type === 'operator' ? uid('Operator', 'local') : uid('Person', principal.email);
}

function resourceUid(resource: ControlResource) {
  switch (resource.type) {
    case 'Workspace':
      return uid('Workspace', 'workspace');
    case 'Agent':
      return uid('Agent', resource.name);
    case 'Approval':
      return uid('Approval', resource.id);
    case 'Person':
      return uid('Person', resource.email);
  }
}

function entities({ principal, route, resource }: ControlRequest, group: ActionGroup): EntityJson[] {
  const all: EntityJson[] = [{ uid: uid('Action', route), parents: [uid('Action', group)], attrs: {} }];
  if (principal.type === 'operator') all.push({ uid: principalUid(principal), parents: [], attrs: {} });
  else
    all.push({
      uid: principalUid(principal),
      parents: [
        ...principal.roles.map((role) => uid('Role', role)),
        ...principal.groups.map((name) => uid('Group', name)),
      ],
      attrs: { email: principal.email },
    });
  if (resource.type === 'Workspace') all.push({ uid: resourceUid(resource), parents: [], attrs: {} });
  if (resource.type === 'Agent')
    all.push({
      uid: resourceUid(resource),
      parents: [],
      attrs: {
        owner: reference('Person', resource.owner),
        environment: reference('Environment', resource.environment),
        production: resource.production,
        risk: resource.risk,
      },
    });
  if (resource.type === 'Approval')
    all.push({
      uid: resourceUid(resource),
      parents: [],
      attrs: {
        owner: reference('Person', resource.owner),
        environment: reference('Environment', resource.environment),
        tool: resource.tool,
        named: (resource.named ?? []).map((email) => reference('Person', email)),
      },
    });
  if (resource.type === 'Person' && !(principal.type === 'person' && principal.email === resource.email))
    all.push({ uid: resourceUid(resource), parents: [], attrs: { email: resource.email } });
  return all;
}

function invalid(policy: string, problem: string, line?: number): GatehouseError {
  const where = line === undefined ? policy : `${policy}, line ${line}`;
  return new GatehouseError('bad-request', 'control-policy.invalid', `Control policy ${where}: ${problem}`, {
    extra: { policy, ...(line !== undefined && { line }) },
  });
}
