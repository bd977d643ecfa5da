import { erasurePreviewQuery, keepingBodies, secondYesBodies } from '@gatehouse/protocol';
import { scopeWords } from '../../ledger/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';
import { secondYesOf } from './second-yes.ts';

export function keepingRoutes(deps: ApiDependencies): Route[] {
  const { keeping, reads, retention } = deps;
  return [
    route('GET /holds', everyone, 'Legal holds, newest first', {}, async () => ({ items: await keeping.holds() })),
    route(
      'POST /holds',
      'hold',
      'Keep the bodies of actions from being removed, whatever their age and whoever asks',
      { body: keepingBodies.hold },
      ({ caller, body }) => keeping.hold(timed(body.scope), body.reason, caller.by),
    ),
    route(
      'POST /holds/:id/end',
      'hold',
      'Ask for the end of a hold; somebody else has to agree',
      {},
      ({ caller, param }) => keeping.askEnd(param('id'), caller.by),
    ),
    route(
      'POST /holds/:id/agree',
      'erase',
      'Agree, with a passkey, that a hold ends, which somebody else has asked for',
      { body: secondYesBodies.agree },
      async (context) => {
        const id = context.param('id');
        return keeping.agreeEnd(id, await secondYesOf(deps, context, { act: 'hold.end', id }));
      },
    ),
    route('GET /erasures', everyone, 'Erasures, newest first', {}, async () => ({ items: await keeping.erasures() })),
    route(
      'GET /erasure-preview',
      everyone,
      'What an erasure of this would take, counted; nothing is changed by looking',
      { query: erasurePreviewQuery },
      async ({ caller, query: { cursor, ...scope } }) => {
        const found = await keeping.preview(timed(scope), cursor);
        const what = `what an erasure of ${scopeWords(scope)} would take`;
        await reads.searched({ by: caller.by, what, items: found.actions });
        return found;
      },
    ),
    route(
      'POST /erasures',
      'hold',
      'Ask for the bodies of actions to be erased; somebody else has to agree',
      { body: keepingBodies.erase },
      ({ caller, body }) => keeping.erase(timed(body.scope), body.reason, caller.by),
    ),
    route(
      'POST /erasures/:id/agree',
      'erase',
      'Agree, with a passkey, that bodies are erased, which somebody else has asked for',
      { body: secondYesBodies.agree },
      async (context) => {
        const id = context.param('id');
        return keeping.agree(id, await secondYesOf(deps, context, { act: 'erasure.agree', id }));
      },
    ),
    route('GET /retention', everyone, 'What is kept for how long, what was removed, and what would go next', {}, () =>
      retention.view(),
    ),
    route(
      'POST /retention/:name/agree',
      'erase',
      'Agree, with a passkey, that a class keeps records for less than the minimum, which somebody else has applied',
      { body: secondYesBodies.agree },
      async (context) => {
        const id = context.param('name');
        return retention.agree(id, await secondYesOf(deps, context, { act: 'retention.agree', id }));
      },
    ),
    route(
      'POST /retention/:name/withdraw',
      'hold',
      'Withdraw what was agreed to: the class keeps records for the minimum again',
      {},
      ({ caller, param }) => retention.withdraw(param('name'), caller.by),
    ),
    route('POST /erasures/:id/reject', 'hold', 'Refuse that bodies are erased', {}, ({ caller, param }) =>
      keeping.reject(param('id'), caller.by),
    ),
  ];
}

/** A time that is no time would hold nothing, or everything. */
function timed<T extends { from?: string | undefined; to?: string | undefined }>(scope: T): T {
  for (const name of ['from', 'to'] as const) {
    const value = scope[name];
    if (value === undefined) continue;
    if (!/(Z|[+-]\d{2}:\d{2})$/.test(value) || Number.isNaN(Date.parse(value)))
      throw new GatehouseError(
        'bad-request',
        'query.time',
        `"${name}" must be an RFC 3339 time with its offset (2026-01-31T12:00:00Z).`,
      );
  }
  return scope;
}
