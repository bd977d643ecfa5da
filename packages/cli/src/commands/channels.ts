import { exitCodes } from '../exit-codes.ts';
import { takeUpTo } from '../items.ts';
import { timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

export const listChannels: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /channels');
  if (out.json) return out.printJson({ items });
  if (items.length === 0)
    return out.note(
      'There are none: people see what waits in the console only. See the how-to "Tell people where they are".',
    );
  out.table(
    ['CHANNEL', 'TYPE', 'ANSWERS', 'WAITING', 'DEAD', 'LAST SENT', 'LAST FAILURE'],
    items.map((each) => [
      each.name,
      each.type,
      each.answers ? 'yes' : 'no',
      String(each.waiting),
      String(each.dead),
      timeOf(each.lastSentAt),
      each.lastError?.error.slice(0, 80) ?? '',
    ]),
  );
};

export const showChannel: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const channel = await operatorOf(options).call('GET /channels/:name', { params: { name } });
  if (out.json) return out.printJson(channel);
  const { manifest } = channel;
  out.facts([
    ['Channel', channel.name],
    ['Type', channel.type],
    ['Description', channel.description],
    ['Environments', manifest.environments?.join(', ') ?? 'all'],
    ['Agents', manifest.agents?.join(', ') ?? 'all'],
    ['Tools', manifest.tools?.join(', ') ?? 'all'],
    ['Shows', manifest.show],
    ['Answers', channel.answers ? `of ${Object.keys(manifest.people).length} people` : 'none'],
    ['Waiting', channel.waiting],
    ['Dead', channel.dead],
    ['Last sent', timeOf(channel.lastSentAt)],
    ['Last failure', channel.lastError && `${timeOf(channel.lastError.at)} ${channel.lastError.error}`],
  ]);
};

export const testChannel: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const test = await operatorOf(options).call('POST /channels/:name/test', { params: { name } });
  if (out.json) out.printJson(test);
  else if (test.ok) out.print(`${name}: delivered in ${test.tookMs} ms`);
  else out.note(`${name}: not delivered: ${test.error}`);
  return test.ok ? exitCodes.ok : exitCodes.failed;
};

interface DeliveriesOptions extends ServerOptions {
  limit: string;
}

export const listDeliveries: Run<DeliveriesOptions> = async ({ args: [name = ''], options, out }) => {
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const list = operatorOf(options).list('GET /channels/:name/deliveries', { params: { name } });
  const items = await takeUpTo(list, limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note('Nothing was to be delivered through it yet.');
  out.table(
    ['DELIVERY', 'APPROVAL', 'EVENT', 'TO', 'STATE', 'TRIES', 'LAST', 'WHY'],
    items.map((each) => [
      each.id,
      each.approval,
      each.event,
      each.recipient,
      each.state,
      String(each.attempts),
      timeOf(each.updatedAt),
      each.error?.slice(0, 80) ?? '',
    ]),
  );
};
