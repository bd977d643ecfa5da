import { type ManifestInput, manifest, TASK_DETAILS_TYPE, type Task, type TaskParameters } from '@gatehouse/protocol';
import type { RequestOptions } from '../../../../sdk/src/software-passkey.ts';
import { createApprovals } from '../../approvals/index.ts';
import { noLeases } from '../../credentials/testing/no-leases.ts';
import type { Caller } from '../../identity/index.ts';
import { type HouseOptions, ORIGIN, openHouse } from '../../identity/people/testing/house.ts';
import { createOutbound, type Json, type JsonObject, noTracing, Secret } from '../../platform/index.ts';
import { compilePolicies, createBaseline, createFlow, type Flow, sensitiveKinds } from '../../policy/index.ts';
import type { ServedDefinition, TaskGrounds } from '../../registry/index.ts';
import {
  type Action,
  createBreaker,
  createBudgets,
  createEnforcement,
  createHeldResults,
  createOpenCalls,
  createOutsideDetectors,
  createTickets,
  type Outcome,
} from '../index.ts';

export const OWNER = 'owner@example.test';

const string = { type: 'string' };
const tool = (name: string, properties: JsonObject): ServedDefinition => ({
  kind: 'tool',
  name,
  body: { name, inputSchema: { type: 'object', properties } },
});

const served: ServedDefinition[] = [
  tool('read_mail', {}),
  tool('contacts', {}),
  tool('payroll', {}),
  tool('plain', { to: string }),
  tool('send_mail', { to: { type: 'array', items: string }, body: string }),
  tool('pay', { to: string, amount: { type: 'number' } }),
  tool('delete_file', { id: string }),
  tool('broadcast', { text: string }),
  tool('fetch', { url: string }),
  tool('remember', { note: string }),
  tool('recall', {}),
  tool('answer', { to: { type: 'array', items: string } }),
  tool('share_with', { to: { type: 'array', items: string } }),
  tool('send_invoice', { to: { type: 'array', items: string } }),
  tool('share_file', { id: string, to: string }),
  tool('release', { id: string, to: string }),
  tool('grant', { id: string, to: string }),
  tool('new_file', { text: string }),
  tool('orders', { to: string, amount: { type: 'number' } }),
  tool('move_event', {
    id: string,
    start: string,
    kind: { enum: ['meeting', 'call', null] },
    online: { type: 'boolean' },
    why: string,
  }),
];

const handed = { id: { role: 'identifier' }, to: { role: 'recipient' } } as const;

const numbers = ['two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];

const workspace: ManifestInput[] = [
  { kind: 'Environment', name: 'prod', production: true },
  {
    kind: 'Template',
    name: 'all',
    parameters: { to: { type: 'string', required: false } },
    allow: [{ tools: ['desk/*'] }],
  },
  {
    kind: 'Template',
    name: 'to-the-team',
    allow: [{ tools: ['desk/read_mail'] }, { tools: ['desk/pay'], when: { to: 'team-account-1' } }],
  },
  { kind: 'Blueprint', name: 'desk', templates: ['all', 'to-the-team'] },
  {
    kind: 'ToolServer',
    name: 'desk',
    environments: ['prod'],
    transport: { type: 'stdio', command: 'node' },
    clientRequests: { elicitation: true },
    tools: {
      read_mail: { tier: 1, effects: ['read'] },
      plain: { tier: 1, effects: ['read'], returns: { trust: 'trusted' } },
      contacts: {
        tier: 1,
        effects: ['read'],
        returns: {
          trust: 'untrusted',
          fields: {
            '*.address': { trust: 'trusted', role: 'recipient' },
            '*.id': { trust: 'trusted', role: 'identifier' },
          },
        },
      },
      payroll: { tier: 1, effects: ['read'], returns: { trust: 'trusted', sensitive: ['personal', 'financial'] } },
      send_mail: {
        tier: 2,
        effects: ['send'],
        arguments: { to: { role: 'recipient' }, body: { role: 'content' } },
        returns: { trust: 'trusted' },
      },
      pay: {
        tier: 2,
        effects: ['pay'],
        arguments: { to: { role: 'account' }, amount: { role: 'amount' } },
        returns: { trust: 'trusted' },
      },
      delete_file: {
        tier: 2,
        effects: ['delete'],
        arguments: { id: { role: 'identifier' } },
        returns: { trust: 'trusted' },
      },
      broadcast: { tier: 2, effects: ['send'], returns: { trust: 'trusted' } },
      fetch: { tier: 1, effects: ['read'], arguments: { url: { role: 'url' } } },
      remember: { tier: 2, effects: ['write'], returns: { trust: 'trusted' }, store: 'notes' },
      answer: { tier: 2, effects: ['write', 'send'], arguments: { to: { role: 'recipient' } } },
      share_with: { tier: 2, effects: ['export'], arguments: { to: { role: 'recipient' } } },
      send_invoice: { tier: 2, effects: ['send'], domain: 'payments', arguments: { to: { role: 'recipient' } } },
      share_file: { tier: 2, effects: ['export'], arguments: handed, returns: { trust: 'trusted' } },
      release: { tier: 2, effects: ['deploy'], arguments: handed, returns: { trust: 'trusted' } },
      grant: { tier: 2, effects: ['administer'], arguments: handed, returns: { trust: 'trusted' } },
      new_file: {
        tier: 2,
        effects: ['write'],
        returns: { trust: 'trusted', fields: { id: { trust: 'trusted', role: 'identifier' } } },
      },
      orders: {
        tier: 1,
        effects: ['read'],
        returns: {
          trust: 'trusted',
          fields: { '*.to': { role: 'account', trust: 'trusted' }, '*.amount': { role: 'amount', trust: 'trusted' } },
        },
      },
      move_event: {
        tier: 2,
        effects: ['write', 'send'],
        arguments: { id: { role: 'identifier' }, start: { role: 'date' } },
        returns: { trust: 'trusted' },
      },
      recall: { tier: 1, effects: ['read'], returns: { trust: 'trusted' }, store: 'notes' },
    },
  },
];

const agent = (name: string): ManifestInput => ({
  kind: 'Agent',
  name,
  owner: OWNER,
  purpose: 'Does what it is told.',
  environment: 'prod',
  blueprint: 'desk',
  delegatesTo: { blueprints: ['desk'] },
});

/** A desk with mail, contacts, money and notes behind the real choke point. What a tool answers is given with the call. */
export async function openReadingRoom(options: HouseOptions = {}) {
  let first: Flow | undefined;
  const house = await openHouse({ ...options, handedOn: async (...handed) => first?.handedOn(...handed) });
  const { registry, ledger, clock, log } = house;
  const apply = (inputs: ManifestInput[]) =>
    registry.apply(
      inputs.map((input) => manifest.parse(input)),
      { prune: false, by: 'gatehouse', served: new Map([['desk', served]]) },
    );
  if (registry.snapshot().environments.size === 0) {
    await house.declare(OWNER, 'owner', 'approver');
    await apply([...workspace, agent('agent-one'), ...numbers.map((number) => agent(`agent-${number}`))]);
  }
  let enrolled: ReturnType<typeof house.enrol> | undefined;
  const sets = new Map<number, ReturnType<typeof compilePolicies>>();

  /** One replica's choke point: what it has seen is in its own memory. */
  async function openGate(change: Partial<Pick<typeof house, 'recordChange'>> = {}) {
    const flow = createFlow({ ...house, ...change, kinds: () => sensitiveKinds(house.registry.snapshot()) });
    first ??= flow;
    const held = createHeldResults({ ...house, key: new Uint8Array(32) });
    const approvals = await createApprovals({ ...house, endorse: flow.endorse, onEnded: held.forget });
    const enforcement = createEnforcement({
      leases: noLeases,
      tracing: noTracing,
      openCalls: createOpenCalls({ ...house, key: new Uint8Array(32) }),
      detectors: createOutsideDetectors({ outbound: createOutbound(), openSecret: async () => new Secret(''), log }),
      registry,
      approvals,
      budgets: createBudgets(house),
      ledger,
      breaker: createBreaker({ registry, clock, log }),
      tickets: createTickets({ outbound: createOutbound(), openSecret: async () => new Secret(''), clock, log }),
      flow,
      baseline: createBaseline({ ...house, key: new Uint8Array(32) }),
      held,
      placeholderKey: new Uint8Array(32),
      clock,
      log,
      feed: { fresh: () => true },
      policies(snapshot) {
        const version = snapshot.fences.get('policy') ?? 0;
        const set = sets.get(version) ?? compilePolicies(snapshot);
        sets.set(version, set);
        return set;
      },
    });
    return {
      enforcement,
      approvals,
      flow,
      async call(
        caller: Caller,
        name: string,
        args: JsonObject = {},
        answer: Json = 'ok',
        change: Partial<Action> = {},
      ) {
        const action: Action = { caller, operation: 'tools/call', server: 'desk', name, arguments: args, ...change };
        const body: Json =
          typeof answer === 'string'
            ? { content: [{ type: 'text', text: answer }] }
            : { content: [], structuredContent: answer };
        const outcome = await enforcement.enforce(action, async () => ({ result: 'success', body }));
        return { outcome, kind: outcome.kind, why: whyOf(outcome) };
      },
    };
  }

  async function start(
    intent: string,
    {
      by = 'agent-one',
      template = 'all',
      parameters = {},
      ...grounds
    }: { by?: string; template?: string; parameters?: TaskParameters } & TaskGrounds = {},
  ): Promise<Caller> {
    await registry.refresh([]);
    const details = { type: TASK_DETAILS_TYPE, template, parameters, intent } as const;
    const task = await registry.startTask(by, details, grounds);
    return callerOf(task);
  }

  async function callerOf(task: Task): Promise<Caller> {
    const epochOf = (name: string) => registry.snapshot().agents.get(name)?.epoch ?? 0;
    const chain = [];
    for (let id = task.parent; id !== null; ) {
      const above = await registry.task(id);
      if (!above) throw new Error(`no task ${id}`);
      chain.push({ agent: above.agent, agentEpoch: epochOf(above.agent), task: above });
      id = above.parent;
    }
    return {
      agent: task.agent,
      agentEpoch: epochOf(task.agent),
      task,
      actorChain: [],
      chain,
      tokenId: `token-${task.id}`,
      proofKey: null,
      expiresAt: clock.now() + 900_000,
    };
  }

  return {
    house,
    /** The owner's passkey: signs what it is given. */
    async approver() {
      enrolled ??= house.enrol(OWNER, { counter: 'none' });
      const { passkey } = await enrolled;
      return (options: Json): Json => ({ ...passkey.assert(options as unknown as RequestOptions, ORIGIN) });
    },
    apply,
    openGate,
    start,
    /** Started by somebody who stands behind what it says. */
    startVouched: (intent: string, more: Parameters<typeof start>[1] = {}) =>
      start(intent, { vouchedBy: `person:${OWNER}`, ...more }),
    close: () => house.close(),
  };
}

export type ReadingRoom = Awaited<ReturnType<typeof openReadingRoom>>;

/** The rules that held a call for a person. */
function whyOf(outcome: Outcome): string[] {
  const policies = outcome.kind === 'pending' ? outcome.approval.decision.policies : [];
  return policies.filter((id) => id.startsWith('gatehouse/flow#')).map((id) => id.slice('gatehouse/flow#'.length));
}
