import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import type { Task, Tier } from '@gatehouse/protocol';
import { isJsonObject } from '../platform/index.ts';
import type { Agent, Snapshot } from '../registry/index.ts';
import {
  CedarSet,
  compileSet,
  compileTest,
  Datetime,
  EntityUid,
  type Environment,
  EvaluationError,
  IpAddress,
  isRecord,
  type Value,
} from './cedar/index.ts';
import { actionEntity, taskEntity, toolEntity, userEntity } from './entities.ts';
import { type LoadedPolicy, readPolicies } from './load.ts';
import { subjectsIn } from './schema.ts';
import type { PolicyRequest, PolicyUser } from './types.ts';
import { contextsOf } from './values.ts';
import { type Clause, clausesOf, clauseText, inWords, pathOf } from './words.ts';

/** One condition of a policy for one call. */
export interface TracedClause {
  cedar: string;
  words: string;
  /** Null: it was not looked at, or could not be evaluated. */
  holds: boolean | null;
  error: string | null;
  /** What it looked at, by path. */
  values: Record<string, unknown>;
}

/** A policy whose scope fits the call, and what became of it. */
export interface TracedPolicy {
  id: string;
  effect: 'permit' | 'forbid' | 'raise';
  /** Its scope and all of its conditions hold. */
  applies: boolean;
  tier: Tier | null;
  reason: string | null;
  clauses: TracedClause[];
}

/** What the policies say for one of those on whose authority something is done. */
export interface TracedSide {
  kind: 'task' | 'handed-on-by' | 'user';
  name: string;
  policies: TracedPolicy[];
}

export interface Tracer {
  trace(request: PolicyRequest): TracedSide[];
}

/**
 * Says of each policy that is about a call whether it applies, condition by condition. For people: it decides nothing, and takes all the
 * time that it needs.
 */
export function createTracer(
  snapshot: Pick<Snapshot, 'calendars' | 'servers' | 'templates' | 'groups' | 'policies' | 'approvalRules'> &
    Partial<Pick<Snapshot, 'environments' | 'credentialProviders'>>,
): Tracer {
  const subjects = subjectsIn(snapshot);
  const all = [...readPolicies(snapshot, subjects, { validated: true }).policies.values()];
  const sets = [true, false].map((aboutUsers) => {
    const own = all.filter((policy) => policy.isAboutUsers === aboutUsers);
    return { policies: new Map(own.map((policy) => [policy.id, policy])), compiled: compileSet(own) };
  });
  const [users, tasks] = sets as [(typeof sets)[0], (typeof sets)[0]];

  function side(kind: TracedSide['kind'], name: string, request: PolicyRequest, who: ReturnType<typeof userEntity>) {
    const subject = subjects.get(request.tool.ref);
    if (!subject) return { kind, name, policies: [] };
    const contexts = contextsOf(subject.arguments);
    const isFit = contexts.problem(request.arguments) === undefined;
    const entities = [who, toolEntity(subject), actionEntity(subject)] as const;
    const environment: Environment = {
      principal: who.uid,
      resource: entities[1].uid,
      action: entities[2].uid,
      context: contexts.of(isFit ? request : { ...request, arguments: {} }),
      entities: new Map(entities.map(({ uid, data }) => [uid.key, data])),
    };
    const { policies, compiled } = kind === 'user' ? users : tasks;
    const found = compiled.slice(environment).policies.flatMap((id) => policies.get(id) ?? []);
    return { kind, name, policies: found.flatMap((policy) => tracePolicy(policy, environment) ?? []) };
  }

  const ofTask = (kind: TracedSide['kind'], { agent, task }: { agent: Agent; task: Task }, request: PolicyRequest) =>
    side(kind, agent.name, request, taskEntity(agent, task));
  const ofUser = (user: PolicyUser, request: PolicyRequest) =>
    side('user', user.email, request, userEntity(user.email, user));

  return {
    trace(request) {
      const { agent, task, chain = [], user } = request;
      return [
        ofTask('task', { agent, task }, request),
        ...chain.map((link) => ofTask('handed-on-by', link, request)),
        ...(user && task.user !== null ? [ofUser(user, request)] : []),
      ];
    },
  };
}

function tracePolicy({ id, json, raises }: LoadedPolicy, environment: Environment): TracedPolicy | undefined {
  // Of a slice the policies that name single principals still have their scope to be looked at.
  const inScope = compileSet([{ id, json: { ...json, effect: 'permit', conditions: [] } }]).authorize(environment);
  if (inScope.decision === 'deny') return undefined;
  let isOpen = true;
  const clauses = clausesOf(json.conditions).map((clause): TracedClause => {
    const traced = traceClause(clause, environment);
    // Behind one that does not hold, another may rest on it: `has a && a == 1`.
    if (!isOpen && traced.error !== null) Object.assign(traced, { error: null, holds: null });
    if (traced.holds !== true) isOpen = false;
    return traced;
  });
  const tier = json.annotations?.tier;
  return {
    id,
    effect: raises ? 'raise' : json.effect,
    applies: clauses.every(({ holds }) => holds === true),
    tier: tier === undefined ? null : (Number(tier) as Tier),
    reason: json.annotations?.reason ?? null,
    clauses,
  };
}

function traceClause(clause: Clause, environment: Environment): TracedClause {
  const base = { cedar: clauseText(clause), words: inWords(clause), values: valuesIn(clause.expression, environment) };
  try {
    return { ...base, holds: compileTest(clause.expression)(environment) === clause.positive, error: null };
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return { ...base, holds: null, error: error.message };
  }
}

/** Everything that an expression looks at, by path, as far as it is there. */
function valuesIn(expression: Expr, environment: Environment): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const element of node) visit(element);
    else if (isJsonObject(node)) {
      const path = '.' in node ? pathOf(node as unknown as Expr) : undefined;
      if (path) values[path.join('.')] = valueAt(path, environment);
      else for (const member of Object.values(node)) visit(member);
    }
  };
  visit(expression);
  return values;
}

function valueAt([root = '', ...members]: readonly string[], environment: Environment): unknown {
  let at: Value | undefined = (environment as unknown as Record<string, Value>)[root];
  for (const member of members) {
    if (at instanceof EntityUid) at = environment.entities.get(at.key)?.attrs.get(member);
    else at = at !== undefined && isRecord(at) ? at.get(member) : undefined;
  }
  return at === undefined ? null : plain(at);
}

function plain(value: Value): unknown {
  if (value instanceof EntityUid) return `${value.type}::"${value.id}"`;
  if (value instanceof CedarSet) return value.elements.map(plain);
  if (isRecord(value)) return Object.fromEntries([...value].map(([name, member]) => [name, plain(member)]));
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Datetime) return new Date(Number(value.value)).toISOString();
  if (value instanceof IpAddress) return value.text;
  if (typeof value === 'object') return value.key;
  return value;
}
