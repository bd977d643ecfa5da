import {
  type CredentialProviderManifest,
  credentialDestinations,
  narrowScope,
  type ProviderKind,
  type ProviderTest,
  type ProviderView,
  secretsNamedIn,
} from '@gatehouse/protocol';
import { type Clock, canonicalJson, GatehouseError, type Json, type Log } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import type { Change, Guard, RecordChange, Sealer, Storage } from '../storage/index.ts';
import { createAccounts } from './accounts/accounts.ts';
import type { Accounts } from './accounts/types.ts';
import { placeDigest } from './leases/issue-record.ts';
import type { StandingOf } from './leases/issued.ts';
import { createLeases, type Leases } from './leases/leases.ts';
import { leaseLimits } from './leases/limits.ts';
import { createReconciler } from './leases/reconcile.ts';
import { type Alarm, type Held, liveStates, type Provider, TEST_PURPOSE } from './leases/types.ts';
import { createWithdrawing, type Withdrawing } from './leases/withdraw.ts';
import { openProvider, type ProviderTools } from './providers/index.ts';
import { rotateSecret, rotatorOf } from './rotate-secret.ts';
import { isSamePlace } from './same-place.ts';
import { useOfSecret } from './secret-uses.ts';
import type { Secrets, StoredSecret } from './secrets.ts';

export interface CredentialsDependencies {
  storage: Storage;
  registry: { snapshot(): Snapshot };
  secrets: Secrets;
  tools: Omit<ProviderTools, 'accounts' | 'openSecret' | 'pendingSecret' | 'settleSecret'>;
  sealer: Sealer;
  recordChange: RecordChange;
  /** Tells people. */
  alarm?: Alarm | undefined;
  /** Whether what was issued would be issued now. */
  standingOf: StandingOf;
  clock: Clock;
  log: Log;
  publicUrl: string;
}

/** The broker: providers as they are declared, the leases that they issue, and what takes them back. */
export interface Credentials {
  leases: Leases;
  accounts: Accounts;
  /** What is changed elsewhere: nothing that has ended is used from memory, and what is to end ends now. Waits for nobody. */
  refresh(changes: readonly Change[]): void;
  /** Ends what was issued by a permission that has been withdrawn since. */
  withdrawing: Pick<Withdrawing, 'foresee' | 'endedSince'>;
  /** Ends what is due. Called by a timer, and whenever there is something to end. */
  reconcile(): Promise<void>;
  providers(): Promise<ProviderView[]>;
  /** What it is and can do; null where it is declared no more. Asks nobody. */
  kindOf(provider: string): ProviderKind | null;
  /** One for nobody, to ask a tool server what it serves; whoever has it ends it. */
  lend(provider: string, environment: string, asked: Json, destination?: string): Promise<Held>;
  /** Issues one for nobody and ends it: is everything right that it takes? */
  test(provider: string, by: string): Promise<ProviderTest>;
  /** Whether a new one can be put in place of a stored secret, and putting it there. `usedBy`: all whose manifests name it. */
  canRotate(secret: Pick<StoredSecret, 'name' | 'origins'>, usedBy: readonly string[]): boolean;
  rotateSecret(secret: { name: string; usedBy: readonly string[]; by: string }): Promise<void>;
  close(): Promise<void>;
}

export function createCredentials(deps: CredentialsDependencies): Credentials {
  const { registry, secrets, log } = deps;
  const accounts: Accounts = createAccounts({
    ...{ ...deps, ...deps.tools, openSecret: secrets.open },
    async endLeases(transaction, { provider, agent, user }, by, reason) {
      const those = await transaction
        .selectFrom('leases')
        .innerJoin('tasks', 'tasks.id', 'leases.task')
        .select('leases.id')
        .where('leases.provider', '=', provider)
        .where('leases.agent', '=', agent)
        .where('tasks.user_email', '=', user)
        .where('leases.state', 'in', ['intended', ...liveStates])
        .execute();
      for (const { id } of those) await leases.endWithin(transaction, { id }, by, reason);
    },
  });
  const tools: ProviderTools = {
    ...{ ...deps.tools, accounts },
    openSecret: secrets.openUnused,
    pendingSecret: secrets.pending,
    settleSecret: (name, next) => secrets.settle(name, next, 'gatehouse'),
  };
  /** Opened once for each declaration; a changed one is another. By name, and by what it was for what is to be ended elsewhere. */
  const opened = new Map<string, { manifest: CredentialProviderManifest; provider: Provider }>();
  /** By provider: since when it has not been well, as far as anybody has looked. */
  const failing = new Map<string, number>();

  function providerOf(manifest: CredentialProviderManifest, as = manifest.name): Provider {
    const there = opened.get(as);
    if (there && canonicalJson(there.manifest) === canonicalJson(manifest)) return there.provider;
    const provider = openProvider(manifest, tools);
    opened.set(as, { manifest, provider });
    // What is under way with the old one ends by itself.
    there?.provider
      .close()
      .catch((error) => log.warn('a provider could not be closed', { provider: manifest.name, error }));
    return provider;
  }

  const declared = (name: string) => declaredBy(registry.snapshot(), name);

  /** That what a provider is opened with, or what it issues of it, was used: noted where it has issued, and by no look at it. */
  function noteUse(manifest: CredentialProviderManifest, scope?: Json): void {
    const { parts } = (scope ?? {}) as { parts?: string[] };
    for (const { secret, path } of secretsNamedIn(manifest)) {
      const [, part] = /^from\.parts\.(.+)$/.exec(path) ?? [];
      if (part === undefined || parts === undefined || parts.includes(part))
        deps.tools.noteUse(useOfSecret(secret), null);
    }
  }

  const reconciler = createReconciler({
    ...deps,
    // As it is declared now: its secret or a certificate may have changed. As it was, where that is elsewhere, or it is declared no more.
    openFor(name, declaredThen) {
      const was = declaredThen as CredentialProviderManifest;
      const now = registry.snapshot().credentialProviders.get(name);
      return now && isSamePlace(was, now) ? providerOf(now) : providerOf(was, canonicalJson(declaredThen));
    },
    isActive: (agent) => registry.snapshot().agents.get(agent)?.state === 'active',
  });
  const wake = () => {
    reconciler.work().catch((error) => log.error('credentials could not be ended', { error }));
  };
  const leases = createLeases({
    ...deps,
    wake,
    declaredAt(name, place) {
      const manifest = registry.snapshot().credentialProviders.get(name) as unknown as Json | undefined;
      return manifest !== undefined && placeDigest(manifest) === place ? manifest : undefined;
    },
    async open(name, environment) {
      const { manifest, destinations, narrow } = declaredIn(registry.snapshot(), name, environment);
      const guard: Guard = { key: 'policy', version: registry.snapshot().fences.get('policy') ?? 0 };
      const declared = manifest as unknown as Json;
      const hasIssued = (scope: Json) => noteUse(manifest, scope);
      return { destinations, narrow, provider: providerOf(manifest), guard, life: manifest.life, declared, hasIssued };
    },
  });
  const withdrawing = createWithdrawing({
    ...{ ...deps, declaredIn, snapshot: registry.snapshot },
    canEnd: (name) => providerOf(declared(name)).abilities.canRevoke,
  });

  let lookAt = 0;
  let comparing: Promise<void> | undefined;
  const lend = (provider: string, environment: string, asked: Json, destination?: string) =>
    leases.issue(
      {
        ...{ provider, environment, agent: '', task: '', purpose: TEST_PURPOSE, destination },
        ...{ singleUse: true, asked, within: [], ttlSeconds: TEST_SECONDS, until: [] },
      },
      [],
    );

  const rotation = () => ({
    ...{ secrets, open: providerOf },
    providers: [...registry.snapshot().credentialProviders.values()],
  });

  return {
    leases,
    lend,
    accounts,
    async reconcile() {
      if (performance.now() >= lookAt) {
        lookAt = performance.now() + leaseLimits.lookMs;
        comparing ??= leases
          .compare()
          .catch((error) => log.error('credentials could not be compared with the record', { error }))
          .finally(() => {
            comparing = undefined;
          });
        await leases.look();
      }
      await Promise.all([withdrawing.catchUp(), reconciler.work(), accounts.sweep()]);
    },
    refresh(changes) {
      for (const { topic, key } of changes) {
        if (topic === 'lease' || topic === 'renewal') leases.forget({ id: key });
        if (topic === 'task') leases.forget({ task: key });
        if (topic === 'agent') leases.forget({ agent: key });
      }
      if (changes.some(({ topic }) => topic === 'agent' || topic === 'object')) accounts.changed();
      if (changes.some(({ topic }) => topic === 'lease' || topic === 'task' || topic === 'agent')) wake();
      withdrawing.moved(changes);
    },

    async providers() {
      const counts = await leases.openByProvider();
      const all = [...registry.snapshot().credentialProviders.values()];
      return Promise.all(
        all.map(async (manifest): Promise<ProviderView> => {
          const { name, environments, life, from, direct } = manifest;
          const provider = providerOf(manifest);
          const problem = await problemOf(() => provider.check(AbortSignal.timeout(CHECK_MS)));
          // Also where it fails: it may be for want of this.
          const trust = await provider.trust?.().catch(() => undefined);
          const { open = 0, stuck = 0 } = counts.get(name) ?? {};
          if (problem === null) failing.delete(name);
          else if (!failing.has(name)) failing.set(name, deps.clock.now());
          const abilities = abilitiesOf(provider);
          return {
            ...{ name, type: from.type, environments, abilities, life, direct: direct ?? null },
            destinations: credentialDestinations(from) ?? null,
            ...{ openLeases: open, stuckLeases: stuck, ok: problem === null, problem },
            failingSince: failing.get(name) ?? null,
            ...(trust !== undefined && { trust }),
          };
        }),
      );
    },

    kindOf(name) {
      const manifest = registry.snapshot().credentialProviders.get(name);
      return manifest ? { type: manifest.from.type, abilities: abilitiesOf(providerOf(manifest)) } : null;
    },

    async test(name, by) {
      const manifest = declared(name);
      const result: ProviderTest = { ok: false, issueMs: null, revokeMs: null, problem: null };
      result.problem = await problemOf(async () => {
        const { rehearse } = providerOf(manifest);
        if (rehearse) {
          await rehearse(AbortSignal.timeout(leaseLimits.createMs));
          return noteUse(manifest);
        }
        const begun = performance.now();
        const { lease } = await lend(
          name,
          manifest.environments[0] as string,
          {},
          // It is sent nowhere.
          credentialDestinations(manifest.from)?.[0],
        );
        const made = performance.now();
        result.issueMs = Math.round(made - begun);
        await leases.end(lease.id, by, 'it was a test');
        // It ends by itself, and nobody has it.
        if (!providerOf(manifest).abilities.canRevoke) return;
        const { open } = await leases.settled({ ids: [lease.id] }, leaseLimits.revokeMs);
        if (open > 0) throw new Error(`It could not be ended yet: see \`gatehouse leases show ${lease.id}\`.`);
        result.revokeMs = Math.round(performance.now() - made);
      });
      // What it issued may do less than it seems: a database that passes on nothing only warns.
      if (result.problem === null && result.issueMs !== null)
        result.problem = await problemOf(() => providerOf(manifest).check(AbortSignal.timeout(CHECK_MS)));
      // Why nothing was issued may quote what was sent; what a look at the provider says does not.
      if (result.problem !== null && result.issueMs === null) {
        const provider = providerOf(manifest);
        const unwell = await problemOf(() => provider.check(AbortSignal.timeout(CHECK_MS)));
        result.problem = unwell ?? result.problem;
      }
      result.ok = result.problem === null;
      return result;
    },

    canRotate: (secret, usedBy) => 'rotate' in rotatorOf(rotation(), secret, usedBy),
    rotateSecret: (secret) => rotateSecret(rotation(), secret),

    withdrawing,
    async close() {
      await withdrawing.close();
      await reconciler.close();
      await comparing;
      await Promise.all([...opened.values()].map(({ provider }) => provider.close()));
    },
  };
}

function declaredBy({ credentialProviders }: Snapshot, name: string): CredentialProviderManifest {
  const manifest = credentialProviders.get(name);
  if (manifest) return manifest;
  throw new GatehouseError(
    'not-found',
    'provider.unknown',
    `There is no credential provider "${name}". \`gatehouse providers\` lists them.`,
  );
}

function declaredIn(snapshot: Snapshot, name: string, environment: string) {
  const manifest = declaredBy(snapshot, name);
  if (!manifest.environments.includes(environment))
    throw new GatehouseError(
      'forbidden',
      'provider.environment',
      `The provider "${name}" issues nothing in ${environment}.`,
    );
  return {
    ...{ manifest, destinations: credentialDestinations(manifest.from) },
    narrow: (asked: Json, within: readonly Json[]) => scopeOf(manifest, asked, within),
  };
}

function scopeOf({ from }: CredentialProviderManifest, asked: Json, within: readonly Json[]): Json {
  const narrowed = narrowScope(from, asked, within);
  if ('scope' in narrowed) return narrowed.scope as Json;
  throw new GatehouseError('forbidden', 'lease.scope', narrowed.problem);
}

const abilitiesOf = ({ abilities, renew }: Provider) => ({ ...abilities, canRenew: renew !== undefined });

const CHECK_MS = 5_000;
const TEST_SECONDS = 30;

/** In words for people, who may see the server's own: they are its operators. Never what was sent to it. */
async function problemOf(work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return (error instanceof Error ? error.message || error.name : String(error)).slice(
      0,
      leaseLimits.problemCharacters,
    );
  }
}
