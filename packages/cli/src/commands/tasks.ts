import { takeUpTo } from '../items.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface Options extends ServerOptions {
  agent?: string;
  state?: string;
  limit: string;
}

export const listTasks: Run<Options> = async ({ options, out }) => {
  const { agent, state } = options;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /tasks', { query: { agent, state } }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none.');
  out.table(
    ['TASK', 'AGENT', 'TEMPLATE', 'STATE', 'STARTED', 'UNTIL', 'INTENT'],
    items.map((task) => [
      task.id,
      task.agent,
      task.template,
      task.state === 'active' && task.suspended ? 'suspended' : task.state,
      timeOf(task.startedAt),
      timeOf(task.expiresAt),
      task.intent,
    ]),
  );
};

export const endTask: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const task = await operatorOf(options).call('POST /tasks/:id/end', { params: { id } });
  if (out.json) out.printJson(task);
  else out.print(`${task.id} of ${task.agent} is ${task.state}.`);
};

export const suspendTask: Run<ServerOptions & { reason: string }> = async ({ args: [id = ''], options, out }) => {
  const task = await operatorOf(options).call('POST /tasks/:id/suspend', {
    params: { id },
    body: { reason: options.reason },
  });
  if (out.json) out.printJson(task);
  else out.print(`${task.id} of ${task.agent} is suspended. Let it go on with: gatehouse tasks resume ${task.id}`);
};

export const resumeTask: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const task = await operatorOf(options).call('POST /tasks/:id/resume', { params: { id } });
  if (out.json) out.printJson(task);
  else out.print(`${task.id} of ${task.agent} may go on until ${timeOf(task.expiresAt)}.`);
};
