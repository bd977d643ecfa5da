import { type ActionRecord, type ManifestInput, manifest, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import { type Approvals, createApprovals } from '../../approvals/index.ts';
import { noLeases } from '../../credentials/testing/no-leases.ts';
import { type House, openHouse } from '../../identity/people/testing/house.ts';
import { createOutbound, type JsonObject, noTracing, Secret } from '../../platform/index.ts';
import { compilePolicies, createBaseline, createFlow, sensitiveKinds } from '../../policy/index.ts';
import type { ServedDefinition } from '../../registry/index.ts';
import {
  type Action,
  checkBudgets,
  createBreaker,
  createBudgets,
  createEnforcement,
  createHeldResults,
  createOpenCalls,
  createOutsideDetectors,
  createTickets,
  type Sent,
} from '../index.ts';

export const AGENT = 'agent-support-prod';

const tool = (name: string, properties: JsonObject, more: JsonObject = {}): ServedDefinition => ({
  kind: 'tool',
  name,
  body: { name, inputSchema: { type: 'object', properties, required: Object.keys(properties), ...more } },
});

const integer = { type: 'integer' };

export const served: ServedDefinition[] = [
  tool('get_order', { order: integer }),
  tool('refund_order', { order: integer, amount_cents: integer }),
  tool('drop_table', { table: { type: 'string' } }),
  tool('not_in_the_manifest', {}),
];

const workspace: ManifestInput[] = [
  { kind: 'Environment', name: 'prod', production: true },
  { kind: 'Environment', name: 'staging' },
  { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*'] }] },
  { kind: 'Blueprint', name: 'support', templates: ['all'] },
  {
    kind: 'ToolServer',
    name: 'shop',
    environments: ['prod'],
    transport: { type: 'stdio', command: 'node' },
    tools: {
      get_order: { tier: 1, effects: ['read'], resourceArgument: 'order' },
      refund_order: { tier: 3, effects: ['pay'], resourceArgument: 'order' },
      drop_table: { tier: 4, effects: ['delete'] },
      not_served: { tier: 1, effects: ['read'] },
    },
  },
];

/**
 * The choke point on a real database, registry, ledger and approvals; only the upstream is the test's: what it was sent is in
 * `sends`, and what the record held at that moment in `seen`. Without `follow` it hears of no change that another replica makes.
 */
export async function openRoom({ follow = true, afterAppend = () => {} } = {}) {
  const house: House = await openHouse({
    validate(snapshot) {
      checkBudgets(snapshot);
      return undefined;
    },
  });
  const { registry, storage, ledger, clock, log } = house;
  const held = createHeldResults({ ...house, key: new Uint8Array(32) });
  const openApprovals = () => createApprovals({ ...house, onEnded: held.forget });
  const approvals = await openApprovals();
  const replicas = [approvals];
  const baseline = createBaseline({ ...house, key: new Uint8Array(32) });
  let fresh = true;
  let compiled: { version: number; set: ReturnType<typeof compilePolicies> } | undefined;
  const gateOf = (approvals: Approvals) =>
    createEnforcement({
      leases: noLeases,
      tracing: noTracing,
      openCalls: createOpenCalls({ ...house, key: new Uint8Array(32) }),
      registry,
      approvals,
      budgets: createBudgets(house),
      ledger: {
        ...ledger,
        async append(...what) {
          const written = await ledger.append(...what);
          afterAppend();
          return written;
        },
      },
      breaker: createBreaker({ registry, clock, log }),
      tickets: createTickets({ outbound: createOutbound(), openSecret: async () => new Secret(''), clock, log }),
      flow: createFlow({ ...house, kinds: () => sensitiveKinds(house.registry.snapshot()) }),
      baseline,
      clock,
      log,
      held,
      detectors: createOutsideDetectors({
        outbound: createOutbound(),
        openSecret: async () => new Secret('s3cret'),
        log,
      }),
      placeholderKey: new Uint8Array(32),
      feed: { fresh: () => fresh && (!follow || storage.feed.fresh()) },
      policies(snapshot) {
        const version = snapshot.fences.get('policy') ?? 0;
        if (compiled?.version !== version) compiled = { version, set: compilePolicies(snapshot) };
        return compiled.set;
      },
    });
  const enforcement = gateOf(approvals);
  if (follow)
    await storage.feed.start('one', async (changes) => {
      await registry.refresh(changes);
      for (const each of replicas) await each.refresh(changes);
      baseline.refresh(changes);
    });
  const apply = async (inputs: ManifestInput[], definitions = served) => {
    const manifests = inputs.map((input) => manifest.parse(input));
    await registry.apply(manifests, { prune: false, by: 'gatehouse', served: new Map([['shop', definitions]]) });
  };
  await house.declare('owner@example.test', 'owner', 'approver');
  const agent = { owner: 'owner@example.test', purpose: 'Answers.', environment: 'prod', blueprint: 'support' };
  await apply([...workspace, { kind: 'Agent', name: AGENT, ...agent }]);
  const task = await registry.startTask(AGENT, {
    type: TASK_DETAILS_TYPE,
    template: 'all',
    parameters: {},
    intent: 'refund order 1042',
  });
  const caller = {
    agent: AGENT,
    agentEpoch: registry.snapshot().agents.get(AGENT)?.epoch ?? 0,
    task,
    actorChain: [],
    chain: [],
    tokenId: 'token-1',
    proofKey: null,
    expiresAt: clock.now() + 900_000,
  };
  const sends: string[] = [];
  const seen: string[][] = [];
  const ok: Sent = { result: 'success', body: { content: [] } };

  const recordsOf = async (actionId: string): Promise<ActionRecord[]> =>
    (await house.records()).filter(({ action_id }) => action_id === actionId);

  return {
    house,
    registry,
    storage,
    approvals,
    baseline,
    enforcement,
    ledger,
    apply,
    task,
    caller,
    sends,
    seen,
    recordsOf,
    /** Another choke point on the same database: what waits and what tasks have seen is in its own memory. */
    async openReplica() {
      const own = await openApprovals();
      replicas.push(own);
      return gateOf(own);
    },
    setFresh(value: boolean) {
      fresh = value;
    },
    call(name: string, args: JsonObject, change: Partial<Action> = {}, send?: () => Promise<Sent>) {
      const action: Action = { caller, operation: 'tools/call', server: 'shop', name, arguments: args, ...change };
      return enforcement.enforce(action, async ({ actionId }) => {
        sends.push(actionId);
        seen.push((await recordsOf(actionId)).map(({ kind }) => kind));
        return send ? send() : ok;
      });
    },
    async close() {
      if (follow) await storage.feed.stop();
      await house.close();
    },
  };
}

export type Room = Awaited<ReturnType<typeof openRoom>>;
