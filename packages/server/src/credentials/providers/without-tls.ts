import { GatehouseError } from '../../platform/index.ts';

/** For drivers that only say that they got no further. */
export const withoutTls = (host: string) =>
  new GatehouseError(
    'upstream',
    'provider.tls',
    `${host} speaks no TLS: turn it on there, or say \`tls: off\` in the manifest where nobody else can listen.`,
  );
