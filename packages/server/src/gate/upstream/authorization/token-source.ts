import type { GuardedFetch } from '../../../credentials/index.ts';
import type { Clock, Log, Outbound } from '../../../platform/index.ts';
import type { RecordChange, Storage } from '../../../storage/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import { type Challenge, noChallenge } from './challenge.ts';
import type { ClientDependencies } from './client.ts';
import { type Discovered, discover } from './discovery.ts';
import type { GrantStore, Place } from './grant-store.ts';
import type { AuthorizedTransport, UpstreamToken } from './types.ts';

export interface AuthorizerDependencies extends ClientDependencies {
  storage: Storage;
  recordChange: RecordChange;
  grants: GrantStore;
  outbound: Outbound;
  clock: Clock;
  log: Log;
  limits: UpstreamLimits;
  trustDomain: string;
}

export type AuthorizedPlace = Place & { transport: AuthorizedTransport };

/** Where the token of one server in one environment comes from: the gate's own word (machine-token.ts), or a person's consent (stored-grant.ts). */
export interface TokenSource {
  /** The token that is used now. */
  held(): UpstreamToken | undefined;
  /** Scopes that were asked for, where the token does not name its own. */
  asked(): string[];
  /** Reads what is stored, unless that was done. */
  read(): Promise<void>;
  /** Gets another token instead of the one that was refused or runs out. Throws GatehouseError. */
  renew(challenge: Challenge): Promise<void>;
  /** The next renewal is to have these scopes. Throws NotConnected where only a person can grant them. */
  widen(scopes: string[], challenge: Challenge): Promise<void>;
  /** The token is not used any more. */
  drop(): void;
  /** Nor is it read again from where it is stored: the server has shown it around. */
  dropShown(): void;
  /** What is stored may have changed. */
  forget(): void;
  /** Without a person. */
  isRenewable(token: UpstreamToken | undefined): boolean;
  view(): Promise<SourceView>;
}

export interface SourceView {
  token: UpstreamToken | undefined;
  /** False: a person is needed. */
  isConnected: boolean;
  /** Why a person is needed. */
  need?: { reason: string; at: number } | undefined;
  connectedBy?: string | undefined;
  connectedAt?: number | undefined;
}

/** What a source is made with. */
export interface SourceContext {
  deps: AuthorizerDependencies;
  place: AuthorizedPlace;
  web: GuardedFetch;
  lookUp: LookUp;
  isFresh(token: UpstreamToken): boolean;
  /** The server has shown it around: never to be sent again. */
  isSpent(token: UpstreamToken): boolean;
}

export interface LookUp {
  (challenge: Challenge): Promise<Discovered>;
  forget(): void;
}

/** Finds the authorization server, and remembers it for a while. */
export function createLookUp(
  web: GuardedFetch,
  transport: AuthorizedTransport,
  { clock, limits }: Pick<AuthorizerDependencies, 'clock' | 'limits'>,
): LookUp {
  let known: { at: number; discovered: Discovered } | undefined;
  const lookUp = async (challenge: Challenge): Promise<Discovered> => {
    // A refusal is a reason to look again: the authorization server may be another by now.
    const isCurrent =
      challenge === noChallenge && known !== undefined && clock.now() - known.at < limits.discoveryMaxAgeMs;
    if (!isCurrent)
      known = { at: clock.now(), discovered: await discover(web, transport, transport.authorization, challenge) };
    return (known as { discovered: Discovered }).discovered;
  };
  return Object.assign(lookUp, {
    forget() {
      known = undefined;
    },
  });
}
