import { manifest, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import { openRoom } from '../../packages/server/src/enforcement/testing/room.ts';
import type { Effect, Race } from './judge.ts';
import { type BudgetCall, callsOf, type Scenario, SERVER, TASKS, tools, workspace } from './scenarios.ts';

const CALLS = 64;

/** The choke point in this process, on SQLite with every write on disk. The clock moves when it is told to. */
export async function openInProcess() {
  const room = await openRoom({ follow: false });
  const { registry, house } = room;
  const definitions = tools.map((tool) => ({ kind: 'tool' as const, name: tool.name, body: tool }));
  await registry.apply(
    workspace({ type: 'stdio', command: 'node' }).map((each) => manifest.parse(each)),
    { prune: false, by: 'gatehouse', served: new Map([[SERVER, definitions]]) },
  );
  const callers = await Promise.all(
    Array.from({ length: TASKS }, async (_, at) => {
      const agent = `agent-${at % 4}`;
      const details = { type: TASK_DETAILS_TYPE, template: 'bank', parameters: {}, intent: 'race' } as const;
      const task = await registry.startTask(agent, details);
      // By the end the clock is far ahead.
      const expiresAt = Number.MAX_SAFE_INTEGER;
      return { ...room.caller, agent, agentEpoch: 1, task: { ...task, expiresAt }, tokenId: `token-${at}`, expiresAt };
    }),
  );
  let moment = 0;

  async function send(call: BudgetCall, effects: Effect[], isConcurrent: boolean, isHeld: boolean): Promise<void> {
    const caller = callers[call.by];
    if (!caller) throw new Error(`there is no task ${call.by}`);
    const args = call.arguments as never;
    await room.enforcement.enforce(
      { caller, operation: 'tools/call', server: SERVER, name: call.tool, arguments: args },
      async () => {
        const from = isConcurrent ? ++moment : house.clock.now();
        const effect = { call, from, to: Number.POSITIVE_INFINITY };
        effects.push(effect);
        // Long enough for the others of the race to come.
        if (isHeld) await new Promise((resolve) => setTimeout(resolve, 20));
        effect.to = isConcurrent ? ++moment : from;
        return { result: 'success', body: {} };
      },
    );
  }

  return {
    /** `atOnce`: all calls race; else each comes after the last one was answered, where the rate counts a second and a half later. */
    async race(scenario: Scenario, account: string, atOnce: boolean, random: () => number): Promise<Race> {
      const effects: Effect[] = [];
      const made: Race['made'] = [];
      const isHeld = scenario.kind === 'concurrent';
      const start = (call: BudgetCall) => {
        made.push({ call, at: isHeld && !atOnce ? ++moment : house.clock.now(), replica: 'one' });
        return send(call, effects, isHeld, isHeld && atOnce);
      };
      const calls = callsOf(scenario, account, CALLS, random);
      if (atOnce) await Promise.all(calls.map(start));
      for (const call of atOnce ? [] : calls) {
        await start(call);
        // Of the others every call is of one day.
        if (typeof scenario.kind === 'object') house.pass(1_500);
      }
      const others = callsOf(scenario, `${account}-honest`, 3, random);
      const served: Effect[] = [];
      await Promise.all(others.map((call) => send(call, served, false, false)));
      return { scenario, made, effects, honest: { made: others.length, done: served.length } };
    },
    close: room.close,
  };
}
