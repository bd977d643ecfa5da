import type { WorkloadView } from '@gatehouse/protocol';
import { clean, type Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const listWorkloads: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /workloads');
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('There are none.');
  out.table(
    ['WORKLOAD', 'STATE', 'ENVIRONMENT', 'OWNER', 'STARTS'],
    items.map(({ name, state, killedAt, manifest }) => [
      name,
      killedAt === null ? state : 'killed',
      manifest.environment,
      manifest.owner,
      manifest.starts.join(', '),
    ]),
  );
};

type Reason = ServerOptions & { reason: string };

const setState =
  (state: 'active' | 'suspended' | 'retired'): Run<Reason> =>
  async ({ args: [name = ''], options, out }) => {
    const body = { state, reason: options.reason };
    say(out, await operatorOf(options).call('POST /workloads/:name/state', { params: { name }, body }));
  };

export const suspendWorkload = setState('suspended');
export const activateWorkload = setState('active');
export const retireWorkload = setState('retired');

export const killWorkload: Run<Reason> = async ({ args: [name = ''], options, out }) => {
  const body = { reason: options.reason };
  say(out, await operatorOf(options).call('POST /workloads/:name/kill', { params: { name }, body }));
};

function say(out: Output, workload: WorkloadView): void {
  if (out.json) out.printJson(workload);
  else out.print(`${clean(workload.name)}: ${workload.killedAt === null ? workload.state : 'killed'}`);
}
