import { confirmationBodies } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { personOf } from './session.ts';

/** Where a person looks at what their command line asks for. The command line itself may look, wait and withdraw. */
export function confirmationRoutes({ confirmations }: ApiDependencies): Route[] {
  return [
    route('GET /confirmations/:id', 'self', 'What my command line asks me to confirm', {}, async ({ caller, param }) =>
      confirmations.show(param('id'), personOf(caller)),
    ),
    route(
      'POST /confirmations/:id/options',
      'consent',
      'Begin to confirm with a passkey, which signs what was shown',
      { body: confirmationBodies.options },
      async ({ caller, param, body }) => ({
        options: await confirmations.options(param('id'), personOf(caller), body.digest),
      }),
    ),
    route(
      'POST /confirmations/:id/confirm',
      'consent',
      'Let the command line do exactly what was shown, once',
      { body: confirmationBodies.confirm },
      async ({ caller, param, body }) => confirmations.confirm(param('id'), personOf(caller), body),
    ),
    route('POST /confirmations/:id/refuse', 'self', 'Say no, or withdraw it', {}, async ({ caller, param }) => {
      await confirmations.refuse(param('id'), personOf(caller));
      return { ok: true };
    }),
  ];
}
