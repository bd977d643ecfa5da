import { generateKeyPair } from 'oauth4webapi';
import { wrong } from '../../../credentials/index.ts';
import type { Challenge } from './challenge.ts';
import type { Discovered } from './discovery.ts';
import { requestWithoutPerson } from './grants.ts';
import { selectScopes } from './scopes.ts';
import type { SourceContext, TokenSource } from './token-source.ts';
import type { ProofKey, UpstreamToken } from './types.ts';

interface MachineToken {
  token: UpstreamToken | undefined;
  /** Scopes that the last request named, and those that the server has wanted since. */
  asked: string[];
  /** Made when a token is first bound to it; kept for the ones that follow. */
  proofKey: ProofKey | undefined;
  /** How often what it rests on has changed. */
  changes: number;
}

/** A token that the gate gets by its own word, and gets anew whenever it needs to: in memory only. */
export function createMachineToken({ deps, place, web, lookUp }: SourceContext): TokenSource {
  const { server, environment, transport } = place;
  const settings = transport.authorization;
  const subject = `spiffe://${deps.trustDomain}/env/${environment}/workload/gatehouse`;
  const state: MachineToken = { token: undefined, asked: [], proofKey: undefined, changes: 0 };
  const drop = () => {
    state.token = undefined;
  };

  return {
    held: () => state.token,
    asked: () => state.asked,
    async read() {},
    renew,
    async widen(scopes) {
      state.asked = scopes;
    },
    drop,
    dropShown: drop,
    forget() {
      drop();
      state.changes++;
    },
    isRenewable: () => true,
    view: async () => ({ token: state.token, isConnected: true }),
  };

  async function renew(challenge: Challenge): Promise<void> {
    const { changes } = state;
    const discovered = await lookUp(challenge);
    const { as, resourceScopes } = discovered;
    const scopes = selectScopes({
      had: state.asked,
      challenged: challenge.scopes,
      resource: resourceScopes,
      server: as.scopes_supported,
      allowed: settings.scopes,
      offline: false,
    });
    const binds = offersBinding(discovered, challenge);
    if (binds) state.proofKey ??= await generateKeyPair('ES256', { extractable: true });
    const got = await requestWithoutPerson({
      deps,
      settings,
      discovered,
      subject,
      web,
      scopes,
      key: binds ? state.proofKey : undefined,
      mustBind: settings.dpop === 'required' || (binds && discovered.boundOnly),
      limits: deps.limits,
      now: deps.clock.now(),
    });
    state.asked = scopes ?? [];
    const until = got.expiresAt === null ? '' : `, until ${new Date(got.expiresAt).toISOString()}`;
    await deps.storage.transaction((transaction) =>
      deps.recordChange(transaction, {
        operation: 'upstream.token',
        by: 'gatehouse',
        environment,
        changes: [
          `token of ${got.issuer} for the tool server ${server}${until}, scopes: ${got.scopes.join(' ').slice(0, 1_000) || 'none named'}`,
        ],
      }),
    );
    // Got with a secret that has been replaced meanwhile, it would outlive it.
    if (state.changes !== changes) return renew(challenge);
    state.token = got;
  }

  function offersBinding({ as, boundOnly }: Discovered, challenge: Challenge): boolean {
    const offered = as.dpop_signing_alg_values_supported?.includes('ES256') === true;
    if (settings.dpop === 'off') {
      if (boundOnly)
        throw wrong(`${server} takes only tokens bound to a key, and its manifest turns them off (\`dpop: off\`).`);
      return false;
    }
    if (!offered && (settings.dpop === 'required' || boundOnly))
      throw wrong(
        `${as.issuer} does not offer tokens bound to an ES256 key, which ${boundOnly ? server : 'the manifest'} requires.`,
      );
    return offered || challenge.dpop;
  }
}
