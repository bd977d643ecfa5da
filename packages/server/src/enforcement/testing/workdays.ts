import { type ManifestInput, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import type { JsonObject } from '../../platform/index.ts';
import type { ServedDefinition } from '../../registry/index.ts';
import type { Outcome, Sent } from '../types.ts';
import { AGENT, openRoom, type Room } from './room.ts';

const tool = (name: string, properties: JsonObject): ServedDefinition => ({
  kind: 'tool',
  name,
  body: { name, inputSchema: { type: 'object', properties } },
});
const [string, number] = [{ type: 'string' }, { type: 'number' }];
const definitions = ['look', 'list', 'note'].map((name) => tool(name, {}));
definitions.push(tool('pay', { account: string, amount: number }), tool('wipe', { path: string }));

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** A room in which days go by: the agent looks, and pays two suppliers, from nine to five (UTC), and knows nothing yet. */
export async function openOffice(environment: Partial<ManifestInput> = {}) {
  const room = await openRoom({ follow: false });
  const shop = (more: JsonObject = {}) =>
    room.apply(
      [
        {
          kind: 'Environment',
          name: 'prod',
          production: true,
          flowRulesOff: ['unknown-argument', 'unknown-amount'],
          breaker: { refusals: 'off', grave: 'off', burst: 'off', tasks: 'off' },
          ...environment,
          ...more,
        } as ManifestInput,
        {
          kind: 'ToolServer',
          name: 'shop',
          environments: ['prod'],
          transport: { type: 'stdio', command: 'node' },
          tools: {
            look: { tier: 1, effects: ['read'] },
            list: { tier: 1, effects: ['read'] },
            note: { tier: 1, effects: ['write'] },
            pay: {
              tier: 1,
              effects: ['pay'],
              arguments: { account: { role: 'account' }, amount: { role: 'amount' } },
            },
            wipe: { tier: 1, effects: ['delete'], arguments: { path: { role: 'path' } } },
          },
        },
      ],
      definitions,
    );
  await shop();
  // Midnight before a Monday.
  const { clock } = room.house;
  room.house.pass(Math.ceil((clock.now() - 4 * DAY_MS) / (7 * DAY_MS)) * 7 * DAY_MS + 4 * DAY_MS - clock.now());
  let caller = room.caller;

  async function startTask(): Promise<void> {
    const task = await room.registry.startTask(AGENT, {
      type: TASK_DETAILS_TYPE,
      template: 'all',
      parameters: {},
      intent: 'the daily work',
    });
    caller = { ...room.caller, task, expiresAt: clock.now() + DAY_MS };
  }

  const office = {
    ...room,
    shop,
    async call(name: string, args: JsonObject = {}, send?: () => Promise<Sent>): Promise<Outcome> {
      if (clock.now() >= caller.task.expiresAt || clock.now() >= caller.expiresAt) await startTask();
      return room.call(name, args, { caller }, send);
    },
    /** Waits until this hour of the day, today or tomorrow. */
    at(hour: number) {
      const passed = clock.now() % DAY_MS;
      room.house.pass(hour * HOUR_MS + (hour * HOUR_MS < passed ? DAY_MS : 0) - passed);
    },
    /** One day of what is usual: `calls` calls between nine and five. */
    async day(calls = 30) {
      for (let at = 0; at < calls; at++) {
        this.at(9 + Math.floor((at * 8) / calls));
        if (at % 3 === 0) await this.call('pay', { account: `DE0${at % 2}`, amount: 10 + at });
        else await this.call('look');
      }
      this.at(0);
    },
    async days(count: number, calls = 30) {
      for (let at = 0; at < count; at++) await this.day(calls);
    },
    /** What the last call's first record says. */
    async last() {
      const records = (await room.house.records()).filter(({ kind }) => kind === 'dispatch' || kind === 'request');
      const decision = records.at(-1)?.decision;
      const deviations = decision?.situation?.deviations ?? [];
      return { decision, kinds: deviations.map(({ kind }) => kind), words: deviations.map(({ words }) => words) };
    },
  };
  return office;
}

export type Office = Awaited<ReturnType<typeof openOffice>>;
export type { Room };
