import type { Decision, Task } from '@gatehouse/protocol';
import type { Agent } from '../registry/index.ts';
import { type Answer, type CompiledSet, compileSet, type Entities, type Slice } from './cedar/index.ts';
import { actionEntity, type Entity, taskEntity, toolEntity, userEntity } from './entities.ts';
import type { Unmet } from './explain.ts';
import type { LoadedPolicy } from './load.ts';
import { obligationsOf } from './obligations.ts';
import type { Official, OfficialEngine } from './official.ts';
import { mayBeUnseen, type Read } from './reads.ts';
import type { Subject } from './schema.ts';
import { isAboutOneTask, namedAgent, namedUser } from './scope.ts';
import type { PolicyUser } from './types.ts';
import { type Contexts, contextsOf } from './values.ts';

/** What can apply when principals of one kind (all tasks under a template, say) use one subject. */
export interface Rule {
  slice: Slice;
  candidates: LoadedPolicy[];
  /** Those that look at arguments which a call may bring unseen. */
  reading: Reading[];
  /** Those that raise the tier instead of refusing. Undefined: there are none. */
  raising: Raising | undefined;
  /** Some permit could apply. */
  permits: boolean;
  /** Some permit could apply, and no forbid always does. */
  mayEver: boolean;
  /** Kinds that any of them masks. */
  masks: readonly string[];
  /** The same policies in the official engine, how often the rule was asked, and which time is compared next. */
  official: Official;
  asked: number;
  comparedNext: number;
  /** Decided before for the same answers, of what decides and of what raises. */
  decisions: Map<Answer, { raising: Answer | undefined; decision: Decision }>;
}

export interface Reading {
  id: string;
  reads: Read[];
}

export interface Raising {
  slice: Slice;
  official: Official;
}

/** Who asks, for what, and what can apply to it. */
export interface Case extends Target {
  principal: Entity;
  entities: Entities;
  rule: Rule;
  /** Put into words when the first refusal needs them. */
  unmet: Unmet[] | undefined;
}

export interface Rules {
  /** Undefined for a subject that no operator registered. */
  forTask(agent: Agent, task: Task, ref: string): Case | undefined;
  forUser(user: PolicyUser, ref: string): Case | undefined;
}

interface Sets {
  deciding: CompiledSet;
  raising: CompiledSet;
}

interface Target {
  subject: Subject;
  tool: Entity;
  action: Entity;
  contexts: Contexts;
}

/** The rules of one kind of principal, by subject. */
type Shape = Map<string, Rule>;

/** One who has been asked about, with what was asked, by subject. */
interface Known {
  principal: Entity;
  shape: Shape;
  cases: Map<string, Case>;
}

const MAX_SHAPES = 10_000;
const MAX_USERS = 1_000;

/**
 * Finds policies once for each kind of principal and subject, so that a decision does not grow with their number. Principals are of one
 * kind when they are in the same groups and no policy names one of them.
 */
export function createRules(
  policies: ReadonlyMap<string, LoadedPolicy>,
  subjects: Iterable<Subject>,
  officialEngine: OfficialEngine,
): Rules {
  const all = [...policies.values()];
  const setsOf = (aboutUsers: boolean): Sets => {
    const own = all.filter(({ isAboutUsers }) => isAboutUsers === aboutUsers);
    return {
      deciding: compileSet(own.filter(({ raises }) => !raises)),
      raising: compileSet(own.filter(({ raises }) => raises)),
    };
  };
  const aboutTasks = setsOf(false);
  const aboutUsers = setsOf(true);
  const agentsNamed = new Set(all.map(({ json }) => namedAgent(json)));
  const usersNamed = new Set(all.map(({ json }) => namedUser(json)));
  const targets = new Map<string, Target>();
  for (const subject of subjects)
    targets.set(subject.ref, {
      subject,
      tool: toolEntity(subject),
      action: actionEntity(subject),
      contexts: contextsOf(subject.arguments),
    });

  const shapes = new Map<string, Shape>();
  /** By identity, so that no call puts a key together. What an agent is, is another object when it has changed. */
  const tasks = new WeakMap<Task, Known & { agent: Agent }>();
  const users = new Map<string, Known>();

  function shapeOf(...key: string[]): Shape {
    const joined = key.join('\n');
    let known = shapes.get(joined);
    if (!known) {
      if (shapes.size >= MAX_SHAPES) shapes.clear();
      known = new Map();
      shapes.set(joined, known);
    }
    return known;
  }

  function knownTask(agent: Agent, task: Task): Known {
    let known = tasks.get(task);
    if (known?.agent !== agent) {
      const { blueprint, environment } = agent.manifest;
      const shape = shapeOf(
        'task',
        agentsNamed.has(agent.name) ? agent.name : '',
        task.template,
        blueprint,
        environment,
      );
      known = { agent, principal: taskEntity(agent, task), shape, cases: new Map() };
      tasks.set(task, known);
    }
    return known;
  }

  function knownUser(user: PolicyUser): Known {
    const { email, roles, groups } = user;
    const key = JSON.stringify([email, roles, groups]);
    let known = users.get(key);
    if (!known) {
      if (users.size >= MAX_USERS) users.clear();
      const shape = shapeOf('user', usersNamed.has(email) ? email : '', ...groups);
      known = { principal: userEntity(email, user), shape, cases: new Map() };
      users.set(key, known);
    }
    return known;
  }

  function caseOf(sets: Sets, { principal, shape, cases }: Known, ref: string): Case | undefined {
    const known = cases.get(ref);
    if (known) return known;
    const target = targets.get(ref);
    if (!target) return undefined;
    const entities = entitiesOf([principal, target.tool, target.action]);
    let rule = shape.get(ref);
    if (!rule) {
      const environment = {
        principal: principal.uid,
        action: target.action.uid,
        resource: target.tool.uid,
        context: new Map(),
        entities,
      };
      rule = makeRule(target.subject, sets.deciding.slice(environment), sets.raising.slice(environment));
      shape.set(ref, rule);
    }
    const made: Case = { ...target, principal, entities, rule, unmet: undefined };
    cases.set(ref, made);
    return made;
  }

  const named = (slice: Slice) => slice.policies.flatMap((id) => policies.get(id) ?? []);

  function makeRule(subject: Subject, slice: Slice, raising: Slice): Rule {
    const candidates = named(slice);
    const raisers = named(raising);
    const looking = [...candidates, ...raisers];
    const permits = candidates.some(({ json }) => json.effect === 'permit');
    const always = candidates.some(
      ({ json }) => json.effect === 'forbid' && json.conditions.length === 0 && !isAboutOneTask(json),
    );
    const reading = looking
      .map(({ id, reads }) => ({ id, reads: reads.filter((read) => mayBeUnseen(read, subject.arguments)) }))
      .filter(({ reads }) => reads.length > 0);
    return {
      slice,
      candidates,
      raising: raisers.length > 0 ? { slice: raising, official: officialEngine(raisers) } : undefined,
      reading,
      permits,
      mayEver: permits && !always,
      masks: obligationsOf(looking.map(({ json }) => json.annotations))?.mask ?? [],
      official: officialEngine(candidates),
      asked: 0,
      comparedNext: 1,
      decisions: new Map(),
    };
  }

  return {
    forTask: (agent, task, ref) => caseOf(aboutTasks, knownTask(agent, task), ref),
    forUser: (user, ref) => caseOf(aboutUsers, knownUser(user), ref),
  };
}

function entitiesOf(entities: readonly [Entity, Entity, Entity]): Entities {
  const [{ uid: first, data }, second, third] = entities;
  return {
    get(key) {
      if (key === first.key) return data;
      if (key === second.uid.key) return second.data;
      return key === third.uid.key ? third.data : undefined;
    },
  };
}
