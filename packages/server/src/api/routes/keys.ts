import { keyBodies } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';

export function keyRoutes({ keys, keyRing, rewrapper }: ApiDependencies): Route[] {
  return [
    route('GET /keys', 'read', 'Signing keys and key-encryption keys', {}, async () => ({
      purposes: await keys.list(),
      encryption: await keyRing.list(),
      rewrap: rewrapper.state(),
    })),
    route(
      'POST /keys/:purpose/rotate',
      'secure',
      'Make the next signing key; a compromised one is destroyed at once, and with it all that it signed',
      { body: keyBodies.rotateKeys },
      ({ caller, param, body }) => keys.rotate(param('purpose'), { by: caller.by, compromised: body.compromised }),
    ),
    route(
      'POST /keys/rewrap',
      'administer',
      'Seal every stored secret anew with another key-encryption key of this server',
      { body: keyBodies.rewrap },
      async ({ caller, body }) => rewrapper.start({ to: body.to, by: caller.by }),
    ),
  ];
}
