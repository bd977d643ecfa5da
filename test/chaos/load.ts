import type { AgentTask } from '@gatehouse/sdk';
import type { Answer } from './house.ts';
import type { Journal } from './journal.ts';
import { seeded } from './random.ts';
import type { Scene } from './scene.ts';

/** What happens while callers work, for whoever waits for a moment to strike. */
export type LoadEvent = 'answered' | 'approving' | 'approved' | 'paying';

export interface Load {
  /** Calls no more, and waits for what is under way. */
  stop(): Promise<void>;
}

const CALLERS = 12;
/** Callers that also ask for payments; the last one proves its key with every call. */
const PAYERS = 3;

/**
 * Callers that each make one call after the other, of an id that nobody has used. Which calls is chosen by the seed; how they
 * interleave is up to the machine.
 */
export function startLoad(
  scene: Scene,
  journal: Journal,
  name: string,
  seed: number,
  onEvent: (event: LoadEvent) => void,
): Load {
  let stopped = false;
  const { approver, tasks } = scene;

  async function call(task: AgentTask, tool: string, id: string): Promise<Answer> {
    journal.calls++;
    const answer = await scene.caller.call(task, tool, { id });
    if (answer.kind === 'ran') journal.ran.add(id);
    if (answer.kind !== 'lost') onEvent('answered');
    return answer;
  }

  async function pay(tool: string, id: string): Promise<void> {
    const waiting = await call(tasks.bearer, tool, id);
    if (waiting.kind !== 'pending') return;
    const payment = { tool, approval: waiting.approval, asked: true, acknowledged: false, settled: false };
    journal.payments.set(id, payment);
    onEvent('approving');
    payment.acknowledged = await approver.approve(waiting.approval).catch(() => false);
    if (!payment.acknowledged || stopped) return;
    onEvent('approved');
    await race(tool, id);
  }

  /** Two retries of what was approved once: one runs, the other asks anew, and is told no. */
  async function race(tool: string, id: string): Promise<void> {
    const both = [call(tasks.bearer, tool, id), call(tasks.bearer, tool, id)];
    onEvent('paying');
    for (const answer of await Promise.all(both))
      if (answer.kind === 'pending' && answer.approval !== journal.payments.get(id)?.approval)
        await approver.deny(answer.approval).catch(() => undefined);
  }

  async function work(index: number): Promise<void> {
    const random = seeded(seed + index);
    for (let turn = 0; !stopped; turn++) {
      const server = random() < 0.25 ? 'over-stdio' : 'over-http';
      const id = `${name}-${index}-${turn}`;
      const tool = index < PAYERS && random() < 0.3 ? 'pay' : 'note';
      if (tool === 'pay') await pay(`${server}__pay`, id);
      else await call(index === CALLERS - 1 ? tasks.proving : tasks.bearer, `${server}__note`, id);
    }
  }

  const working = Promise.all(Array.from({ length: CALLERS }, (_, index) => work(index)));
  return {
    async stop() {
      stopped = true;
      await working;
    },
  };
}

/** What was approved before the server died may still run, once: retries of all that has not run. Then nothing waits. */
export async function settle(scene: Scene, journal: Journal): Promise<void> {
  const { approver, caller, operator, tasks } = scene;
  for (const [id, payment] of journal.payments) {
    if (payment.settled) continue;
    payment.settled = true;
    if (!payment.acknowledged || journal.ran.has(id)) continue;
    const answers = await Promise.all([1, 2].map(() => caller.call(tasks.bearer, payment.tool, { id })));
    for (const { kind } of answers) if (kind === 'ran') journal.ran.add(id);
  }
  const { items } = await operator.call('GET /approvals', { query: { state: 'pending', limit: 200 } });
  for (const { id } of items) await approver.deny(id);
}
