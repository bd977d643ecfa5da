import { createGuardedFetch, type GuardedFetch } from '../../../credentials/index.ts';
import type { Outbound } from '../../../platform/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import type { HttpTransport, OAuthSettings } from './types.ts';

/** A tool server, and the authorization servers that its manifest names. */
export const guardOf = (
  outbound: Outbound,
  { url, allowPrivateAddress }: HttpTransport,
  settings: OAuthSettings,
  limits: UpstreamLimits,
): GuardedFetch =>
  createGuardedFetch(
    outbound,
    {
      named: [
        url,
        ...(settings.issuer === undefined ? [] : [settings.issuer]),
        ...(settings.grant === 'enterprise_managed' ? [settings.identityProvider.issuer] : []),
      ],
      allowPrivateAddress,
    },
    limits,
  );
