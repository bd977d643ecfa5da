import type { ManifestInput } from '@gatehouse/protocol';
import type { Json } from '../../packages/server/src/platform/index.ts';

/** One call of a scenario: what is sent, and what it would use of the budget. */
export interface BudgetCall {
  tool: string;
  arguments: Record<string, unknown>;
  /** Per limit of the scenario. */
  uses: number[];
  /** Which of the agents' tasks makes it. */
  by: number;
}

/**
 * Many calls, each of which may be made, that together are more than may be done. Every race is about an account of its own, so that the
 * budget is new.
 */
export interface Scenario {
  name: string;
  tool: string;
  /** Of the tool's arguments, in JSON Schema. */
  properties: Record<string, { [name: string]: Json }>;
  effect: 'read' | 'delete' | 'pay';
  budget: Omit<Extract<ManifestInput, { kind: 'Budget' }>, 'kind' | 'name' | 'tools'>;
  /** What the effects of one account may add up to. */
  limits: number[];
  /** `concurrent`: at any moment; `rolling`: in any such time; else for good. */
  kind: 'total' | 'concurrent' | { rollingMs: number };
  call(account: string, at: number, random: () => number): Omit<BudgetCall, 'tool' | 'by'>;
}

const string = { type: 'string' };
const cents = (random: () => number, from: number, to: number) => Math.round(100 * (from + random() * (to - from)));
const inText = (amount: number) => (amount / 100).toFixed(2);

/** The same customer, as an agent may write it to be taken for another. */
const variants = [
  (text: string) => text,
  (text: string) => text.toUpperCase(),
  (text: string) => ` ${text} `,
  (text: string) => `${text[0]}\u200b${text.slice(1)}`,
];

export const scenarios: Scenario[] = [
  {
    name: 'payout splitting',
    tool: 'pay',
    properties: { from: string, to: string, amount: { type: 'number' } },
    effect: 'pay',
    budget: { per: [{ argument: 'from' }], window: 'day', limit: { sum: { argument: 'amount', max: 1000 } } },
    limits: [100_000],
    kind: 'total',
    call(account, at, random) {
      const amount = cents(random, 20, 60);
      return { arguments: { from: account, to: `${account}-payee-${at}`, amount: amount / 100 }, uses: [amount] };
    },
  },
  {
    name: 'refund structuring',
    tool: 'refund',
    properties: { customer: string, amount: { type: ['number', 'string'] }, currency: string },
    effect: 'pay',
    budget: {
      per: [{ argument: 'customer' }],
      window: 'day',
      zone: 'Europe/Berlin',
      limit: {
        count: 20,
        sum: { argument: 'amount', max: '500.00', currency: { argument: 'currency', is: 'EUR' } },
      },
    },
    limits: [20, 50_000],
    kind: 'total',
    call(account, _at, random) {
      const amount = cents(random, 5, 40);
      const customer = variants[Math.floor(random() * variants.length)]?.(account);
      return { arguments: { customer, amount: inText(amount), currency: 'EUR' }, uses: [1, amount] };
    },
  },
  {
    name: 'bulk deletion',
    tool: 'delete',
    properties: { folder: string, files: { type: 'array', items: string } },
    effect: 'delete',
    budget: { per: [{ argument: 'folder' }], window: 'week', limit: { items: { argument: 'files', max: 100 } } },
    limits: [100],
    kind: 'total',
    call(account, at, random) {
      const files = Array.from({ length: 1 + Math.floor(random() * 12) }, (_, file) => `${at}-${file}`);
      return { arguments: { folder: account, files }, uses: [files.length] };
    },
  },
  {
    name: 'grant sprawl',
    tool: 'transfer',
    properties: { account: string, amount: string },
    effect: 'pay',
    budget: { per: [{ argument: 'account' }], window: 'month', limit: { sum: { argument: 'amount', max: '300.00' } } },
    limits: [30_000],
    kind: 'total',
    call(account, _at, random) {
      const amount = cents(random, 10, 30);
      return { arguments: { account, amount: inText(amount) }, uses: [amount] };
    },
  },
  {
    name: 'rate',
    tool: 'search',
    properties: { tenant: string },
    effect: 'read',
    budget: { per: [{ argument: 'tenant' }], window: { seconds: 60 }, limit: { count: 30 } },
    limits: [30],
    kind: { rollingMs: 60_000 },
    call: (account) => ({ arguments: { tenant: account }, uses: [1] }),
  },
  {
    name: 'concurrent sessions',
    tool: 'open',
    properties: { tenant: string },
    effect: 'read',
    budget: { per: [{ argument: 'tenant' }], limit: { concurrent: 5 } },
    limits: [5],
    kind: 'concurrent',
    call: (account) => ({ arguments: { tenant: account }, uses: [1] }),
  },
];

/** Agents that spread their calls over several tasks, as whoever looks for more than one grant does. */
export const TASKS = 8;
export const SERVER = 'bank';
export const ENVIRONMENT = 'prod';

export const tools = scenarios.map(({ tool, properties }) => ({
  name: tool,
  description: tool,
  inputSchema: { type: 'object', properties, required: Object.keys(properties) },
}));

/** Everything but the person, who is in the workspace already. */
export function workspace(transport: Extract<ManifestInput, { kind: 'ToolServer' }>['transport']): ManifestInput[] {
  const settings = scenarios.map(
    ({ tool, effect }) => [tool, { tier: 1 as const, effects: [effect] }] satisfies [string, object],
  );
  return [
    { kind: 'Environment', name: ENVIRONMENT, production: true },
    {
      kind: 'ToolServer',
      name: SERVER,
      environments: [ENVIRONMENT],
      stateless: true,
      transport,
      tools: Object.fromEntries(settings),
    },
    { kind: 'Template', name: 'bank', allow: [{ tools: [`${SERVER}/*`] }] },
    { kind: 'Blueprint', name: 'bank', templates: ['bank'] },
    ...Array.from(
      { length: 4 },
      (_, at): ManifestInput => ({
        kind: 'Agent',
        name: `agent-${at}`,
        owner: 'owner@example.test',
        purpose: 'races',
        environment: ENVIRONMENT,
        blueprint: 'bank',
        bearerOnly: true,
      }),
    ),
    ...scenarios.map(
      ({ tool, budget }): ManifestInput => ({ kind: 'Budget', name: tool, tools: [`${SERVER}/${tool}`], ...budget }),
    ),
  ];
}

export function callsOf(scenario: Scenario, account: string, count: number, random: () => number): BudgetCall[] {
  return Array.from({ length: count }, (_, at) => ({
    tool: scenario.tool,
    by: at % TASKS,
    ...scenario.call(account, at, random),
  }));
}
