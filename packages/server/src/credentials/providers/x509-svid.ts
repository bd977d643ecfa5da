import type { ProviderAbilities } from '@gatehouse/protocol';
import type { TrustDomain } from '../../identity/index.ts';
import { type Clock, Secret } from '../../platform/index.ts';
import type { Provider } from '../leases/types.ts';
import { endsAt, remainingOf } from './ends-by-itself.ts';

const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: false, canRevoke: false, canEndSessions: false, maxResidualSeconds: null },
};

/** An X.509-SVID for each lease, with a key of its own: of the task, for the tools of this provider, and for no door of ours. */
export function openX509SvidProvider(
  name: string,
  { svids, clock }: { svids: Pick<TrustDomain, 'issueForTools' | 'rootsPem'>; clock: Clock },
): Provider {
  return {
    abilities: ABILITIES,

    async create({ environment, agent, task, expiresAt }) {
      const { chain, key, notAfter } = await svids.issueForTools({
        environment,
        agent,
        task,
        provider: name,
        expiresAt,
      });
      return {
        credential: {
          certificate: new Secret(chain),
          key: new Secret(key),
          bundle: new Secret(await svids.rootsPem()),
        },
        revocation: endsAt(notAfter),
        expiresAt: notAfter,
      };
    },

    async revoke(left) {
      // Made here, and given to nobody.
      if (left.revocation === null) return undefined;
      return remainingOf(left, {
        clock,
        who: 'Gatehouse',
        why: 'there is no revocation list: a certificate is good until it expires',
      });
    },

    async check() {
      await svids.rootsPem();
    },

    trust: () => svids.rootsPem(),
    close: async () => undefined,
  };
}
