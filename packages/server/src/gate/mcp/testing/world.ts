import type { Approval, ToolServerManifest } from '@gatehouse/protocol';
import { toolServerManifest } from '@gatehouse/protocol';
import type { z } from 'zod';
import type { Approvals } from '../../../approvals/index.ts';
import { type Action, type EarlierCall, type Enforcement, NotSent, type Outcome } from '../../../enforcement/index.ts';
import type { Caller, Tokens } from '../../../identity/index.ts';
import {
  type Clock,
  digestJson,
  GatehouseError,
  isJsonObject,
  type Json,
  type JsonObject,
  newId,
} from '../../../platform/index.ts';
import type {
  PinnedDefinition,
  RegisteredServer,
  RegisteredTool,
  Registry,
  ServedDefinition,
} from '../../../registry/index.ts';
import { labelsOf } from '../../../registry/index.ts';
import { doorLimits } from '../limits.ts';
import type { WaitingRows, WaitingTask, Whose } from '../waiting/types.ts';

/**
 * The rooms below the door, as small as the door's own tests need them: callers by name, servers whose definitions are approved
 * as they are first served, and an enforcement that runs everything unless a test says otherwise. The real ones are tested where
 * they live, and all together in test/.
 */

export const taskOf = (agent: string, id: string) => ({
  id,
  agent,
  environment: 'dev',
  template: 'everything',
  parameters: {},
  intent: 'to be tested',
  onBehalfOf: null,
  requestedBy: null,
  ticket: null,
  changeRequest: null,
  modelProvider: null,
  model: null,
  user: null,
  delegation: null,
  parent: null,
  actors: [],
  narrowing: null,
  vouchedBy: null,
  state: 'active' as const,
  startedAt: 0,
  expiresAt: Number.MAX_SAFE_INTEGER,
});

/** `Bearer AGENT.TASK` is that agent at that task; anything else is nobody. */
export function createTestTokens(clock: Clock, challenge = 'Bearer resource_metadata="here"'): Tokens {
  return {
    async authenticate({ authorization }) {
      const found = /^Bearer ([a-z0-9-]+)\.([a-z0-9_]+)$/.exec(authorization ?? '');
      if (!found)
        throw new GatehouseError('unauthenticated', 'token.missing', 'A token is needed.', { extra: { challenge } });
      const [, agent, task] = found as unknown as [string, string, string];
      return {
        agent,
        agentEpoch: 1,
        task: taskOf(agent, task),
        actorChain: [{ sub: `spiffe://test/env/dev/agent/${agent}`, profile: 'ai_agent' }],
        chain: [],
        tokenId: `token of ${task}`,
        proofKey: null,
        expiresAt: clock.now() + 900_000,
      };
    },
  };
}

export type TestRegistry = Registry & {
  /** What the server serves is compared with what is approved; anything new is held once there is something approved. */
  observe(server: string, served: ServedDefinition[]): void;
  approve(server: string, kind: PinnedDefinition['kind'], name: string): void;
};

export function createTestRegistry(manifests: z.input<typeof toolServerManifest>[]): TestRegistry {
  const servers = new Map<string, RegisteredServer>();
  for (const input of manifests) {
    const manifest = toolServerManifest.parse(input);
    servers.set(manifest.name, { name: manifest.name, manifest, tools: new Map(), definitions: [] });
  }
  const get = (name: string) => servers.get(name) as RegisteredServer;

  function pin(server: RegisteredServer, { kind, name, body }: ServedDefinition, approved: boolean): void {
    const digest = digestJson(body);
    const before = server.definitions.find((known) => known.kind === kind && known.name === name);
    const pinned: PinnedDefinition = {
      server: server.name,
      kind,
      name,
      state: approved ? 'approved' : 'held',
      approved: approved ? { digest, body } : (before?.approved ?? null),
      served: approved ? null : { digest, body },
      reviewedBy: null,
      reason: null,
      reviewedAt: null,
      seenAt: 0,
    };
    server.definitions = [...server.definitions.filter((known) => known !== before), pinned];
    if (kind !== 'tool' || !isJsonObject(body)) return;
    const tool: RegisteredTool = {
      ref: `${server.name}/${name}`,
      server: server.name,
      name,
      tier: server.manifest.tools[name]?.tier ?? 1,
      effects: ['read'],
      resourceArgument: null,
      state: pinned.state,
      digest: pinned.approved?.digest ?? null,
      labels: labelsOf(server.manifest.tools[name]),
      definition: (pinned.approved?.body as JsonObject | undefined) ?? null,
    };
    server.tools = new Map(server.tools).set(name, tool);
  }

  const unused = () => {
    throw new Error('The door does not use this.');
  };
  return {
    snapshot: () => ({
      agents: new Map(),
      blueprints: new Map(),
      environments: new Map(),
      people: new Map(),
      directory: new Map(),
      roleMappings: new Map(),
      calendars: new Map(),
      ticketSystems: new Map(),
      detectors: new Map(),
      sinks: new Map(),
      retention: new Map(),
      agentMappings: new Map(),
      identityProviders: new Map(),
      controlPolicies: new Map(),
      servers: new Map(servers),
      templates: new Map(),
      policies: new Map(),
      clients: new Map(),
      revokedTokens: new Map(),
      fences: new Map(),
    }),
    observe(name: string, served: ServedDefinition[]) {
      const server = get(name);
      const first = server.definitions.length === 0;
      for (const definition of served) {
        const known = server.definitions.find(
          ({ kind, name: at }) => kind === definition.kind && at === definition.name,
        );
        if (known?.approved?.digest !== digestJson(definition.body)) pin(server, definition, first);
      }
    },
    approve(name: string, kind: PinnedDefinition['kind'], of: string) {
      const server = get(name);
      const held = server.definitions.find((known) => known.kind === kind && known.name === of);
      if (held?.served) pin(server, { kind, name: of, body: held.served.body }, true);
    },
    refresh: unused,
    plan: unused,
    apply: unused,
    exportManifests: unused,
    addAgentKey: unused,
    removeAgentKey: unused,
    setAgentState: unused,
    startTask: unused,
    task: unused,
    listTasks: unused,
    endTask: unused,
    revokeToken: unused,
    observeDefinitions: unused,
    listDefinitions: unused,
    reviewDefinition: unused,
  } as unknown as TestRegistry;
}

/** `released`: what an earlier call left, and a person has released. */
export type Verdict = 'allow' | 'refuse' | 'ask' | { released: Json };

/** Leaves out what a test marks so: what enforcement would mask or cut. */
const shown = <T extends Json>(message: T): T =>
  JSON.parse(JSON.stringify(message).replaceAll('UNSHOWN', '[shown]')) as T;

export type TestEnforcement = Enforcement & {
  /** Every action that was decided on, with its verdict. */
  decided: {
    operation: string;
    tool: string;
    arguments: unknown;
    actionId: string;
    verdict: string;
    of?: EarlierCall;
  }[];
  outcomes: Outcome[];
};

export function createTestEnforcement(
  registry: Registry,
  approvals: TestApprovals,
  verdict: (action: Action) => Verdict,
): TestEnforcement {
  const held = new Set<{ caller: Caller; end(reason: string): void }>();
  const decided: TestEnforcement['decided'] = [];
  const outcomes: Outcome[] = [];
  const hold = (entry: { caller: Caller; end(reason: string): void }) => {
    held.add(entry);
    return () => void held.delete(entry);
  };

  async function run(action: Action, send: Parameters<Enforcement['enforce']>[1]): Promise<Outcome> {
    const wanted = verdict(action);
    let actionId = action.actionId ?? newId('act');
    const tool = `${action.server}/${action.name}`;
    const note = (what: string) =>
      decided.push({
        operation: action.operation,
        tool,
        arguments: action.arguments,
        actionId,
        verdict: what,
        ...(action.of && { of: action.of }),
      });
    const decision = {
      effect: 'allow' as const,
      tier: 3 as const,
      code: 'tier.approval',
      reason: 'It is grave.',
      policies: ['p1'],
      policyVersion: 'v1',
    };
    if (typeof wanted === 'object') {
      note('released');
      const { operation, name, arguments: args } = action;
      const call = { operation, name, arguments: args, obligations: undefined };
      return { kind: 'done', actionId, sent: { result: 'success', body: wanted.released }, call };
    }
    if (wanted === 'refuse') {
      note('refused');
      return {
        kind: 'refused',
        actionId,
        decision: {
          ...decision,
          effect: 'deny',
          code: 'policy.no-permit',
          reason: 'Nothing permits it. Ask for more.',
        },
      };
    }
    if (action.under !== undefined) {
      const of = approvals.all().find(({ id }) => id === action.under);
      if (of?.state !== 'approved' && of?.state !== 'pending')
        return { kind: 'gone', actionId, superseded: false, detail: 'It was let through before.' };
    }
    if (wanted === 'ask') {
      const approval = approvals.openFor(action, actionId, { ...decision, effect: 'needs-approval' });
      actionId = approval.actionId;
      if (approval.state !== 'approved') {
        note('waits');
        return { kind: 'pending', actionId, approval: { ...approval } };
      }
      approval.state = 'consumed';
    }
    if (action.stands && !(await action.stands(actionId)))
      return { kind: 'gone', actionId, superseded: false, detail: 'It is not wanted any more.' };
    note('sent');
    const controller = new AbortController();
    const release = hold({ caller: action.caller, end: (reason) => controller.abort(new Error(reason)) });
    const stopped = new Promise<never>((_, reject) =>
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true }),
    );
    stopped.catch(() => undefined);
    try {
      const work = send({
        actionId,
        tool: { ref: tool, digest: null },
        approval: null,
        arguments: action.arguments,
        clean: shown,
        heard: () => undefined,
        call: { operation: action.operation, name: action.name, arguments: action.arguments, obligations: undefined },
        signal: controller.signal,
      });
      work.catch(() => undefined);
      return { kind: 'done', actionId, sent: await Promise.race([work, stopped]) };
    } catch (error) {
      const detail = (error as Error).message;
      if (error instanceof NotSent) return { kind: 'done', actionId, sent: { result: 'failure', body: null, detail } };
      return { kind: 'unknown', actionId, detail };
    } finally {
      release();
    }
  }

  return {
    decided,
    outcomes,
    async enforce(action, send) {
      const outcome = await run(action, send);
      outcomes.push(outcome);
      return outcome;
    },
    hear: (_caller, _server, message) => shown(message),
    async usableTools(_caller, only) {
      const tools = [...registry.snapshot().servers.values()]
        .filter(({ name }) => only === undefined || name === only)
        .flatMap((server) => [...server.tools.values()]);
      return tools.filter(({ state }) => state === 'approved').sort((a, b) => (a.ref < b.ref ? -1 : 1));
    },
    usesFeature: (_caller, name, feature) => (registry.snapshot().servers.get(name)?.manifest[feature]?.tier ?? 4) < 4,
    attach: (caller, end) => hold({ caller, end }),
    whyRefused: () => undefined,
    stop({ agent, task }, reason) {
      for (const entry of [...held]) {
        const concerned = (!agent || entry.caller.agent === agent) && (!task || entry.caller.task.id === task);
        if (concerned) entry.end(reason);
      }
    },
    inFlight: () => held.size,
  };
}

/** As the database has them, in memory. */
export function createTestWaitingRows(clock: Clock): WaitingRows {
  const all = new Map<string, { key: string; task: WaitingTask }>();
  const keyOf = ({ caller, view, era }: Whose) => JSON.stringify([caller.agent, caller.task.id, view, era]);
  const change = (id: string, change: Partial<WaitingTask>) => {
    const entry = all.get(id);
    if (entry) all.set(id, { ...entry, task: { ...entry.task, ...change, updatedAt: clock.now() } });
  };
  return {
    async open(whose, { call, approval, actionId, ttlMs }) {
      const key = keyOf(whose);
      const approvalId = approval?.id ?? null;
      const same = [...all.values()].find(
        (each) =>
          each.key === key && approvalId !== null && each.task.approval === approvalId && each.task.state === 'waiting',
      );
      if (same) return same.task;
      if ([...all.values()].filter((each) => each.key === key).length >= doorLimits.waitingTasksPerTask)
        throw new GatehouseError('too-many', 'task.too-many-waiting', 'Too many.');
      const now = clock.now();
      const task: WaitingTask = {
        id: newId('mcp'),
        call,
        approval: approvalId,
        actionId,
        state: 'waiting',
        shown: false,
        answer: null,
        createdAt: now,
        updatedAt: now,
        expiresAt: now + ttlMs,
      };
      all.set(task.id, { key, task });
      return task;
    },
    find: async (whose, id) => (all.get(id)?.key === keyOf(whose) ? all.get(id)?.task : undefined),
    list: async (whose) => [...all.values()].filter(({ key }) => key === keyOf(whose)).map(({ task }) => task),
    async waitFor(id, approval) {
      const own = all.get(id);
      const first = [...all.values()].find(
        ({ key, task }) => key === own?.key && task.approval === approval.id && task.state === 'waiting',
      );
      if (first || own?.task.state !== 'waiting') return first?.task;
      change(id, { approval: approval.id, actionId: approval.actionId });
      return all.get(id)?.task;
    },
    stands: async (id) => (all.get(id)?.task.state === 'waiting' ? [] : undefined),
    stop: async () => true,
    forget: async (id) => void all.delete(id),
    show: async (id) => change(id, { shown: true }),
    async end(id, state, answer) {
      if (all.get(id)?.task.state !== 'waiting') return undefined;
      change(id, { state, answer });
      return all.get(id)?.task;
    },
    sweep: async () => undefined,
  };
}

export type TestApprovals = Approvals & {
  openFor(action: Action, actionId: string, decision: Approval['decision']): Approval;
  all(): Approval[];
  decide(id: string, state: 'approved' | 'denied'): void;
  /** Resolves with the approval as soon as there is one. */
  opened(): Promise<Approval>;
  /** How many calls wait for one. */
  waiting(): number;
};

export function createTestApprovals(): TestApprovals {
  const byId = new Map<string, Approval>();
  const waiters = new Map<string, Set<() => void>>();
  const openers = new Set<(approval: Approval) => void>();
  const approvals: Partial<TestApprovals> = {
    openFor(action, actionId, decision) {
      const digest = digestJson([
        action.caller.agent,
        action.caller.task.id,
        action.operation,
        action.server,
        action.name,
        action.arguments,
      ]);
      const known = [...byId.values()].find(
        (approval) => approval.digest === digest && (approval.state === 'pending' || approval.state === 'approved'),
      );
      if (known) return known;
      const approval: Approval = {
        id: newId('apr'),
        actionId,
        state: 'pending',
        digest,
        agent: action.caller.agent,
        agentEpoch: action.caller.agentEpoch,
        operation: action.operation,
        owner: 'owner@example.test',
        task: action.caller.task.id,
        intent: '',
        template: '',
        environment: 'dev',
        tool: `${action.server}/${action.name}`,
        toolDefinition: '',
        arguments: action.arguments,
        delegated: null,
        rules: [],
        votes: [],
        policyAuthors: [],
        escalatedSeconds: 0,
        requestedBy: null,
        onBehalfOf: null,
        decision,
        createdAt: 0,
        expiresAt: Number.MAX_SAFE_INTEGER,
        decidedAt: null,
        decidedBy: null,
        reason: null,
        origins: [],
        undo: { possible: 'no', how: null, withinSeconds: null, isSaid: false, isDestructive: false },
        risk: { score: 0, reasons: [] },
        alone: null,
        endorsed: [],
      };
      byId.set(approval.id, approval);
      for (const opener of openers) opener(approval);
      openers.clear();
      return approval;
    },
    all: () => [...byId.values()],
    async opened() {
      const [first] = byId.values();
      return first ?? new Promise((resolve) => openers.add(resolve));
    },
    waiting: () => [...waiters.values()].reduce((count, { size }) => count + size, 0),
    decide(id, state) {
      const approval = byId.get(id) as Approval;
      approval.state = state;
      approval.decidedBy = 'approver@example.test';
      if (state === 'denied') approval.reason = 'not today';
      for (const wake of waiters.get(id) ?? []) wake();
    },
    async withdraw(id) {
      const approval = byId.get(id);
      if (approval?.state === 'pending' || approval?.state === 'approved') approval.state = 'cancelled';
      for (const wake of waiters.get(id) ?? []) wake();
    },
    async get(id) {
      const approval = byId.get(id);
      return approval && { ...approval };
    },
    async settled(id, signal) {
      const approval = byId.get(id) as Approval;
      if (approval.state === 'pending' && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const set = waiters.get(id) ?? new Set();
          waiters.set(id, set.add(resolve));
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      return { ...approval };
    },
  };
  return approvals as TestApprovals;
}

export type { ToolServerManifest };
