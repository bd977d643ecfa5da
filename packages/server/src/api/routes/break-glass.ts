import { breakGlassBodies, breakGlassRequest } from '@gatehouse/protocol';
import type { Json } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';
import { personOf } from './session.ts';

export function breakGlassRoutes({ approvals }: ApiDependencies): Route[] {
  return [
    route(
      'GET /break-glass',
      everyone,
      'Emergencies, newest first, with what nobody has reviewed yet',
      {},
      async () => ({
        items: await approvals.breakGlass.list(),
      }),
    ),
    route('GET /break-glass/:id', everyone, 'One emergency', {}, ({ param }) => approvals.breakGlass.get(param('id'))),
    route(
      'POST /break-glass',
      'ask-break-glass',
      'Ask two people to let one task use tools without an approval, under an incident',
      { body: breakGlassRequest },
      ({ caller, body }) => approvals.breakGlass.request(body, caller.by),
    ),
    route('POST /break-glass/:id/options', 'break-glass', 'Begin to sign it', {}, ({ caller, param }) =>
      approvals.breakGlass.options(param('id'), personOf(caller).email),
    ),
    route(
      'POST /break-glass/:id/sign',
      'break-glass',
      'Sign it: the second person opens it',
      { body: breakGlassBodies.sign },
      ({ caller, param, body }) =>
        approvals.breakGlass.sign(param('id'), personOf(caller).email, body.assertion as Json, body.until),
    ),
    route('POST /break-glass/:id/end', 'secure', 'End it now', {}, ({ caller, param }) =>
      approvals.breakGlass.end(param('id'), caller.by),
    ),
    route(
      'POST /break-glass/:id/review',
      'secure',
      'Say what was done under it, and close it',
      { body: breakGlassBodies.review },
      ({ caller, param, body }) => approvals.breakGlass.review(param('id'), personOf(caller).email, body.note),
    ),
  ];
}
