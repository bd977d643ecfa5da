import { consentBodies } from '@gatehouse/protocol';
import { addressOf } from '../address-of.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { personOf } from './session.ts';

/** Where people answer what clients and agents ask of them. The operator's token answers nothing: a consent is a person's. */
export function consentRoutes({ consents }: ApiDependencies): Route[] {
  return [
    route('GET /consents', 'self', 'What agents ask of me out of band', {}, async ({ caller }) => ({
      items: await consents.list(personOf(caller)),
    })),
    route(
      'GET /consents/:id',
      'self',
      'One request, and what I could allow',
      {},
      async ({ caller, param, http, may }) =>
        consents.show(
          param('id'),
          personOf(caller),
          { cookies: http.req.header('cookie'), address: addressOf(http) },
          { mayDelegate: may('POST /delegations') },
        ),
    ),
    route(
      'POST /consents/:id/options',
      'consent',
      'Begin to consent with a passkey, which signs what was shown',
      { body: consentBodies.options },
      async ({ caller, param, body }) => ({
        options: await consents.options(param('id'), personOf(caller), body),
      }),
    ),
    route(
      'POST /consents/:id/approve',
      'consent',
      'Consent to exactly what was shown, or to less',
      { body: consentBodies.approve },
      async ({ caller, param, body, http, may }) =>
        consents.approve(param('id'), personOf(caller), http.req.header('cookie'), body, {
          mayDelegate: may('POST /delegations'),
        }),
    ),
    route(
      'POST /consents/:id/sign-in',
      'consent',
      'Sign the command line in: a restricted session of one’s own, bound to its key',
      { body: consentBodies.signIn },
      async ({ caller, param, body }) => consents.signIn(param('id'), personOf(caller), body),
    ),
    route('POST /consents/:id/deny', 'consent', 'Say no', {}, async ({ caller, param, http }) =>
      consents.deny(param('id'), personOf(caller), http.req.header('cookie')),
    ),
  ];
}
