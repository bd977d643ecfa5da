import { paging } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function channelRoutes({ channels }: ApiDependencies): Route[] {
  return [
    route('GET /channels', everyone, 'Where people are told of approvals, and how that goes', {}, async () => ({
      items: await channels.list(),
    })),
    route('GET /channels/:name', everyone, 'One channel, with its manifest', {}, ({ param }) =>
      channels.show(param('name')),
    ),
    route(
      'GET /channels/:name/deliveries',
      everyone,
      'What was and is delivered through it, newest first',
      { query: paging },
      async ({ param, query: { cursor, limit } }) => {
        const items = await channels.deliveries(param('name'), { before: cursor, limit });
        return { items, cursor: items.length === limit ? (items.at(-1)?.id ?? null) : null };
      },
    ),
    route(
      'POST /channels/:name/test',
      'secure',
      'Send a message through it that asks for nothing',
      {},
      ({ caller, param }) => channels.test(param('name'), caller.by),
    ),
  ];
}
