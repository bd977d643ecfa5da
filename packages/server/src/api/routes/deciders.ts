import { deputyBodies, type OnCallView } from '@gatehouse/protocol';
import { z } from 'zod';
import { onCallAt, shiftsFrom } from '../../approvals/index.ts';
import { GatehouseError, type Json } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, everyone, type Route, route } from '../route.ts';
import { personOf } from './session.ts';

const DAY_MS = 86_400_000;
const SHIFTS_SHOWN = 50;

const deputiesQuery = z.object({
  person: z.string().max(254).optional(),
  /** Also what is over. */
  all: z.stringbool().default(false),
});
const onCallQuery = z.object({ days: z.coerce.number().int().min(1).max(366).default(14) });

/** A person at the console: a shell can be shared with an agent (law 4). */
function atTheConsole(caller: ApiCaller): string {
  const { email } = personOf(caller);
  if (!caller.restricted) return email;
  throw new GatehouseError(
    'forbidden',
    'deputy.terminal',
    'A session of a terminal names no deputies. Sign in to the console in a browser.',
  );
}

/** Who decides in whose place, and who is on call. */
export function deciderRoutes({ approvals, registry, clock }: ApiDependencies): Route[] {
  return [
    route(
      'GET /deputies',
      everyone,
      'Who says yes in whose place, the last to begin first; with `all`, also what is over',
      { query: deputiesQuery },
      async ({ query: { person, all } }) => ({
        items: await approvals.deputies.list({ all, ...(person !== undefined && { person }) }),
      }),
    ),
    route(
      'POST /deputies/options',
      'consent',
      'Begin to name a deputy of one’s own: the passkey signs who, and how long',
      { body: deputyBodies.options },
      async ({ caller, body }) => ({ options: await approvals.deputies.options(atTheConsole(caller), body) }),
    ),
    route(
      'POST /deputies',
      'consent',
      'Name a deputy of one’s own, with the passkey',
      { body: deputyBodies.create },
      async ({ caller, body: { assertion, ...wanted } }) =>
        approvals.deputies.create(atTheConsole(caller), wanted, assertion as Json),
    ),
    route(
      'POST /people/:email/deputies',
      'admit',
      'Propose a deputy for somebody who can’t: an admin, and never themselves; it counts once it is confirmed',
      { body: deputyBodies.createFor },
      async ({ caller, param, body }) => approvals.deputies.createFor(param('email'), body, atTheConsole(caller)),
    ),
    route(
      'POST /deputies/:id/options',
      'consent',
      'Begin to confirm a proposed deputy: the passkey signs who, for whom, and how long',
      {},
      async ({ caller, param }) => ({
        options: await approvals.deputies.confirmOptions(param('id'), atTheConsole(caller)),
      }),
    ),
    route(
      'POST /deputies/:id/confirm',
      'consent',
      'Confirm a proposed deputy, with the passkey: the person, or another admin than who proposed it',
      { body: deputyBodies.confirm },
      async ({ caller, param, body }) =>
        approvals.deputies.confirm(param('id'), atTheConsole(caller), body.assertion as Json),
    ),
    route(
      'DELETE /deputies/:id',
      'self',
      'Withdraw one: the person, the deputy, security or an admin',
      {},
      async ({ caller, param }) => {
        const found = await approvals.deputies.get(param('id'));
        if (!found)
          throw new GatehouseError('not-found', 'deputy.unknown', `There is no deputy "${param('id').slice(0, 64)}".`);
        const isTheirs = found.person === caller.email || found.deputy === caller.email;
        const oversees =
          caller.via === 'operator' || caller.roles.some((role) => role === 'admin' || role === 'security');
        if (!isTheirs && !oversees)
          throw new GatehouseError(
            'forbidden',
            'deputy.not-yours',
            'Only the person, their deputy, security and admins can withdraw this.',
          );
        return approvals.deputies.withdraw(found.id, caller.by);
      },
    ),
    route(
      'GET /on-call',
      everyone,
      'Who is on call, now and in the days ahead',
      { query: onCallQuery },
      async ({ query: { days } }) => {
        const now = clock.now();
        const items = [...registry.snapshot().onCall.values()].map(
          (rota): OnCallView => ({
            name: rota.name,
            description: rota.description ?? null,
            zone: rota.zone,
            now: onCallAt(rota, now) ?? null,
            shifts: shiftsFrom(rota, now, now + days * DAY_MS, SHIFTS_SHOWN),
          }),
        );
        return { items };
      },
    ),
  ];
}
