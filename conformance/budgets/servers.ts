import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentTask } from '@gatehouse/sdk';
import { applyTo, createCaller, enrol, type McpCaller, operatorOf } from '../../test/chaos/house.ts';
import { createReplica, type Replica } from '../../test/chaos/replica.ts';
import { freePort } from '../../test/support/free-port.ts';
import type { Race } from './judge.ts';
import { type BudgetCall, callsOf, type Scenario, SERVER, TASKS, workspace } from './scenarios.ts';
import { type Seen, startUpstream } from './upstream.ts';

const CALLS = 64;
const HONEST = 3;

interface Member {
  replica: Replica;
  caller: McpCaller;
  starts: number;
}

/** Servers as processes of their own on one PostgreSQL database, called over MCP; the tool server is in this process. */
export async function openServers(database: string, size: number) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-budgets-'));
  const upstream = await startUpstream();
  const ports = await Promise.all(Array.from({ length: size }, freePort));
  const publicUrl = `http://localhost:${ports[0]}`;
  const members: Member[] = [];
  for (const [at, port] of ports.entries()) {
    const dataDir = join(directory, `replica-${at}`);
    mkdirSync(dataDir, { mode: 0o700 });
    // The keys are all that replicas share besides the database and the public URL.
    if (at > 0) cpSync(join(directory, 'replica-0', 'keys'), join(dataDir, 'keys'), { recursive: true });
    const replica = createReplica({
      ...{ dataDir, database, host: '127.0.0.1', port, publicUrl },
      ...{ trustDomain: 'example.test', replica: `replica-${at}` },
    });
    await replica.start();
    members.push({ replica, caller: createCaller(publicUrl, `http://127.0.0.1:${port}`, 64), starts: 1 });
  }
  const operator = operatorOf(publicUrl, join(directory, 'replica-0'));
  await applyTo(operator, [
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    ...workspace({ type: 'http', url: upstream.url, allowPrivateAddress: true }),
  ]);
  const agents = await Promise.all(
    Array.from({ length: 4 }, (_, at) => enrol(operator, `agent-${at}`, { bearerOnly: true })),
  );
  const tasks: AgentTask[] = [];
  for (let at = 0; at < TASKS; at++) {
    const agent = agents[at % agents.length];
    if (agent) tasks.push(await agent.startTask({ template: 'bank', intent: 'race' }));
  }

  function send(call: BudgetCall, { caller }: Member) {
    return caller.call(tasks[call.by] as AgentTask, `${SERVER}__${call.tool}`, call.arguments);
  }

  const nameOf = (member: Member) => `${member.replica.config.replica}, start ${member.starts}`;

  /** Calls spread over the replicas, all at once. `wave`: what comes later is no part of what runs at the same time. */
  async function makeAll(calls: BudgetCall[], made: Race['made'], wave: number): Promise<void> {
    await Promise.all(
      calls.map((call, at) => {
        const member = members[at % members.length] as Member;
        made.push({ call, at: wave, replica: nameOf(member) });
        return send(call, member);
      }),
    );
  }

  function effectsOf(calls: BudgetCall[], seen: Seen[]): Race['effects'] {
    const byArguments = new Map(calls.map((call) => [key(call.tool, call.arguments), call]));
    // The moments of one race are never as far apart as a rolling window is long.
    return seen.flatMap(({ tool, arguments: given, from, to }) => {
      const call = byArguments.get(key(tool, given));
      return call ? [{ call, from, to }] : [];
    });
  }

  async function honest(scenario: Scenario, account: string, random: () => number): Promise<number> {
    const calls = callsOf(scenario, `${account}-honest`, HONEST, random);
    const answers = await Promise.all(calls.map((call, at) => send(call, members[at % members.length] as Member)));
    return answers.filter(({ kind }) => kind === 'ran').length;
  }

  const racesOf = (scenarios: Scenario[], account: string, random: () => number) =>
    scenarios.map((scenario) => ({
      scenario,
      calls: callsOf(scenario, account, CALLS, random),
      made: [] as Race['made'],
    }));

  async function judged(races: ReturnType<typeof racesOf>, account: string, random: () => number): Promise<Race[]> {
    const seen = upstream.take();
    return Promise.all(
      races.map(async ({ scenario, calls, made }) => ({
        scenario,
        made,
        effects: effectsOf(calls, seen),
        honest: { made: HONEST, done: await honest(scenario, account, random) },
      })),
    );
  }

  return {
    /** A race of each scenario, all at once. */
    async races(scenarios: Scenario[], account: string, random: () => number): Promise<Race[]> {
      const races = racesOf(scenarios, account, random);
      upstream.take();
      await Promise.all(races.map(({ calls, made }) => makeAll(calls, made, 0)));
      return judged(races, account, random);
    },

    /** One race of each scenario; in the middle a replica is killed (-9), and started again before the second half of the calls. */
    async racesAcrossKill(scenarios: Scenario[], account: string, random: () => number): Promise<Race[]> {
      const races = racesOf(scenarios, account, random);
      const victim = members[Math.floor(random() * members.length)] as Member;
      upstream.take();
      const first = races.map(({ calls, made }) => makeAll(calls.slice(0, CALLS / 2), made, 0));
      await new Promise((resolve) => setTimeout(resolve, 5 + random() * 120));
      await victim.replica.kill();
      await Promise.all(first);
      await victim.replica.start();
      victim.starts++;
      await Promise.all(races.map(({ calls, made }) => makeAll(calls.slice(CALLS / 2), made, 1)));
      return judged(races, account, random);
    },

    async close() {
      for (const { caller, replica } of members) {
        await caller.close();
        await replica.kill();
      }
      upstream.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const key = (tool: string, given: Record<string, unknown>) =>
  `${tool} ${JSON.stringify(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
