import { exitCodes } from '../exit-codes.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const listNotifications: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /push/subscriptions');
  if (out.json) return out.printJson({ items });
  if (items.length === 0)
    return out.note('You are notified in no browser. Turn it on in the console, under Settings, in each of them.');
  out.table(
    ['BROWSER', 'WHERE', 'BY WAY OF', 'SIGNED OUT', 'ON SINCE', 'LAST SEEN', 'LAST TOLD'],
    items.map((each) => [
      each.id,
      each.userAgent.slice(0, 60),
      each.service,
      each.stays ? 'stays on' : 'ends',
      timeOf(each.createdAt),
      timeOf(each.seenAt),
      timeOf(each.sentAt),
    ]),
  );
};

export const testNotification: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const test = await operatorOf(options).call('POST /push/subscriptions/:id/test', { params: { id } });
  if (out.json) out.printJson(test);
  else if (test.ok) out.print(`${id}: taken by its push service in ${test.tookMs} ms`);
  else out.note(`${id}: not delivered: ${test.error}`);
  return test.ok ? exitCodes.ok : exitCodes.failed;
};

export const removeNotification: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  await operatorOf(options).call('DELETE /push/subscriptions/:id', { params: { id } });
  if (out.json) out.printJson({ removed: id });
  else out.print(`${id} tells you nothing any more.`);
};
