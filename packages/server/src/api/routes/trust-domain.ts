import { trustDomainBodies } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type Route, route } from '../route.ts';

export function trustDomainRoutes({ trustDomain }: ApiDependencies): Route[] {
  return [
    route(
      'GET /trust-domain',
      everyone,
      'The trust domain: its authorities and keys, and the domains it federates with',
      {},
      () => trustDomain.view(),
    ),
    route(
      'POST /trust-domain/rotate',
      'secure',
      'Make the next X.509 intermediate or JWT-SVID key; with `compromised`, destroy those of now',
      { body: trustDomainBodies.rotate },
      async ({ caller: { by }, body: { keys, compromised } }) =>
        keys === 'x509' ? trustDomain.rotate({ by, compromised }) : trustDomain.rotateJwt({ by, compromised }),
    ),
    route(
      'POST /trust-domain/intermediate/request',
      'administer',
      'Make a signing request for an intermediate, to be signed by a root that is held elsewhere',
      {},
      async ({ caller: { by } }) => trustDomain.requestIntermediate({ by }),
    ),
    route(
      'POST /trust-domain/intermediate/import',
      'administer',
      'Import the signed intermediate and its root',
      { body: trustDomainBodies.importIntermediate },
      async ({ caller: { by }, body }) => trustDomain.importIntermediate({ by, chain: body.chain }),
    ),
    route(
      'POST /trust-domain/root/export',
      'administer',
      'Export the key of the root, encrypted with a passphrase',
      { body: trustDomainBodies.exportRoot },
      async ({ caller: { by }, body }) => trustDomain.exportRoot({ by, passphrase: body.passphrase }),
    ),
    route(
      'POST /trust-domain/root/forget',
      'administer',
      'Remove the key of the root from the database',
      { body: trustDomainBodies.forgetRootKey },
      async ({ caller: { by }, body }) => {
        await trustDomain.forgetRootKey({ by, id: body.id });
        return { ok: true };
      },
    ),
  ];
}
