import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBroker } from './broker.ts';

type BrokerGate = Parameters<typeof createBroker>[0];

/** A server that hands out `lse_1`, `lse_2` …, each for 900 s, and says of each whether it is in use. */
function scene() {
  const clock = { at: 1_000_000, now: () => clock.at };
  const house = {
    task: 'tsk_1',
    given: 0,
    ended: new Set<string>(),
    isAway: false,
    isStopped: false,
    isBarred: false,
    barred: 0,
  };
  const json = (status: number, body: object) => new Response(JSON.stringify(body), { status });
  const gate = {
    async request(path: string) {
      if (house.isAway) throw new Error('No Gatehouse server answers.');
      const task = { id: house.task };
      const answer = () => {
        if (house.isStopped) return json(401, { title: 'agent.killed', detail: 'It was killed.' });
        const id = path.split('/')[3];
        if (id) return json(200, { state: house.ended.has(id) ? 'revoked' : 'active' });
        if (house.isBarred) {
          house.barred++;
          return json(403, { title: 'policy.forbidden', detail: 'A policy forbids it.' });
        }
        house.given++;
        const expires_at = new Date(clock.at + 900_000).toISOString();
        return json(200, { lease: `lse_${house.given}`, credential: { token: 'x' }, expires_at });
      };
      return { response: answer(), task };
    },
    task: async () => ({ id: house.task }),
  } as unknown as BrokerGate;
  const broker = createBroker(gate, clock);
  const leaseOf = async () => {
    const given = await broker.ask({ provider: 'orders' }, 0);
    return given.kind === 'given' ? given.lease : given.kind;
  };
  return { clock, house, broker, leaseOf };
}

/** @proves clients.stopped */
test('a credential that is kept is given again while it is good and in use, and asked for once by all who come at once', async () => {
  const { clock, house, leaseOf } = scene();
  assert.deepEqual(await Promise.all([leaseOf(), leaseOf(), leaseOf()]), ['lse_1', 'lse_1', 'lse_1']);
  clock.at += 869_000;
  assert.equal(await leaseOf(), 'lse_1');
  clock.at += 2_000;
  assert.equal(await leaseOf(), 'lse_2', 'less than half a minute is left');
  house.ended.add('lse_2');
  assert.equal(await leaseOf(), 'lse_3', 'a person has ended it');
  house.task = 'tsk_2';
  assert.equal(await leaseOf(), 'lse_4', 'another task');
});

/** @proves clients.stopped */
test('and is given to nobody where the agent was stopped, or where the server can’t be asked', async () => {
  const { house, broker, leaseOf } = scene();
  assert.equal(await leaseOf(), 'lse_1');
  house.isAway = true;
  await assert.rejects(leaseOf(), /No Gatehouse server answers/);
  house.isAway = false;
  assert.equal(await leaseOf(), 'lse_1');
  house.isStopped = true;
  assert.equal(await leaseOf(), 'refused');
  assert.deepEqual(broker.held(), []);
});

/** @proves clients.refused-once */
test('a client that asks again at once hears the same refusal, and only one attempt is made', async () => {
  const { clock, house, leaseOf } = scene();
  house.isBarred = true;
  for (let times = 0; times < 12; times++) assert.equal(await leaseOf(), 'refused');
  assert.equal(house.barred, 1);
  house.isBarred = false;
  assert.equal(await leaseOf(), 'refused', 'for seconds');
  clock.at += 5_000;
  assert.equal(await leaseOf(), 'lse_1');
});
