import type { Task } from '@gatehouse/protocol';
import type { Agent } from '../registry/index.ts';
import { type CompiledSet, compileSet, type Environment, type Slice } from './cedar/index.ts';
import { actionEntity, type Entity, taskEntity, toolEntity, userEntity } from './entities.ts';
import type { LoadedPolicy } from './load.ts';
import type { Official, OfficialEngine } from './official.ts';
import type { Subject } from './schema.ts';
import { isAboutOneTask, namedAgent, namedUser } from './scope.ts';
import type { PolicyUser } from './types.ts';

/** What can apply when principals of one kind (all tasks under a template, say) use one subject. */
export interface Rule {
  slice: Slice;
  candidates: LoadedPolicy[];
  /** Those that look at arguments. */
  reading: LoadedPolicy[];
  /** Those that raise the tier instead of refusing. Undefined: there are none. */
  raising: Raising | undefined;
  /** Members of the situation that some candidate looks at. */
  situation: readonly string[];
  /** Some permit could apply. */
  permits: boolean;
  /** Some permit could apply, and no forbid always does. */
  mayEver: boolean;
  /** The same policies in the official engine, and how often the rule was asked. */
  official: Official;
  asked: number;
}

export interface Raising {
  slice: Slice;
  official: Official;
}

/** Who asks, for what, and what can apply to it. */
export interface Case {
  principal: Entity;
  tool: Entity;
  action: Entity;
  subject: Subject;
  rule: Rule;
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

type Target = Pick<Case, 'subject' | 'tool' | 'action'>;

/** The rules of one kind of principal, by subject. */
type Shape = Map<string, Rule>;

const MAX_SHAPES = 10_000;

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
    targets.set(subject.ref, { subject, tool: toolEntity(subject), action: actionEntity(subject) });

  const shapes = new Map<string, Shape>();
  /** By identity, so that no call puts a key together. What an agent is, is another object when it has changed. */
  const shapesOfAgents = new WeakMap<Agent, Map<string, Shape>>();
  const entitiesOfTasks = new WeakMap<Task, { agent: Agent; entity: Entity }>();

  function shape(...key: string[]): Shape {
    const joined = key.join('\n');
    let known = shapes.get(joined);
    if (!known) {
      if (shapes.size >= MAX_SHAPES) shapes.clear();
      known = new Map();
      shapes.set(joined, known);
    }
    return known;
  }

  function shapeOfTask(agent: Agent, { template }: Task): Shape {
    let known = shapesOfAgents.get(agent);
    if (!known) {
      known = new Map();
      shapesOfAgents.set(agent, known);
    }
    let found = known.get(template);
    if (!found) {
      const { blueprint, environment } = agent.manifest;
      found = shape('task', agentsNamed.has(agent.name) ? agent.name : '', template, blueprint, environment);
      known.set(template, found);
    }
    return found;
  }

  function entityOfTask(agent: Agent, task: Task): Entity {
    const known = entitiesOfTasks.get(task);
    if (known?.agent === agent) return known.entity;
    const entity = taskEntity(agent, task);
    entitiesOfTasks.set(task, { agent, entity });
    return entity;
  }

  function caseOf(sets: Sets, found: Shape, ref: string, principal: Entity): Case | undefined {
    const target = targets.get(ref);
    if (!target) return undefined;
    let rule = found.get(ref);
    if (!rule) {
      const environment = environmentOf({ ...target, principal }, new Map());
      rule = makeRule(sets.deciding.slice(environment), sets.raising.slice(environment));
      found.set(ref, rule);
    }
    return { principal, rule, subject: target.subject, tool: target.tool, action: target.action };
  }

  const named = (slice: Slice) => slice.policies.flatMap((id) => policies.get(id) ?? []);

  function makeRule(slice: Slice, raising: Slice): Rule {
    const candidates = named(slice);
    const raisers = named(raising);
    const looking = [...candidates, ...raisers];
    const permits = candidates.some(({ json }) => json.effect === 'permit');
    const always = candidates.some(
      ({ json }) => json.effect === 'forbid' && json.conditions.length === 0 && !isAboutOneTask(json),
    );
    const reading = looking.filter(({ reads }) => reads.length > 0);
    return {
      slice,
      candidates,
      raising: raisers.length > 0 ? { slice: raising, official: officialEngine(raisers) } : undefined,
      situation: [...new Set(looking.flatMap(({ situation }) => situation))],
      reading,
      permits,
      mayEver: permits && !always,
      official: officialEngine(candidates),
      asked: 0,
    };
  }

  return {
    forTask: (agent, task, ref) => caseOf(aboutTasks, shapeOfTask(agent, task), ref, entityOfTask(agent, task)),
    forUser: (user, ref) =>
      caseOf(
        aboutUsers,
        shape('user', usersNamed.has(user.email) ? user.email : '', ...user.groups),
        ref,
        userEntity(user.email, user),
      ),
  };
}

export function environmentOf(
  { principal, tool, action }: Pick<Case, 'principal' | 'tool' | 'action'>,
  context: Environment['context'],
): Environment {
  return {
    principal: principal.uid,
    action: action.uid,
    resource: tool.uid,
    context,
    entities: {
      get(key) {
        if (key === principal.uid.key) return principal.data;
        if (key === tool.uid.key) return tool.data;
        return key === action.uid.key ? action.data : undefined;
      },
    },
  };
}
