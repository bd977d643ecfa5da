import { type Clock, GatehouseError, type Log, type Outbound } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { RecordChange, RecordGuarded, Sealer, Storage } from '../../storage/index.ts';
import { openSigningKeys } from '../keys/signing-keys.ts';
import { whyStopped } from '../tokens/authenticate.ts';
import { whyChainStopped } from '../tokens/chain.ts';
import { openAuthorities } from './authorities.ts';
import { makeBundle, type SpiffeBundle } from './bundle.ts';
import { openFederation } from './federation.ts';
import { createIssuer, readSerial } from './issue-svid.ts';
import { verifyJwt } from './jwt-svid.ts';
import { CLOCK_SKEW_MS, PUBLISH_LEAD_MS, trustDomainLimits } from './limits.ts';
import { principalOfPath } from './spiffe-id.ts';
import type { TrustDomain, VerifiedJwtSvid, VerifiedX509Svid } from './types.ts';
import { refused, verifyChain } from './verify-svid.ts';
import { viewOf } from './view.ts';

export interface TrustDomainDependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  recordGuarded: RecordGuarded;
  sealer: Sealer;
  outbound: Outbound;
  clock: Clock;
  log: Log;
  /** Name of the trust domain. */
  trustDomain: string;
  /** Age after which keys of JWT-SVIDs rotate by themselves, in milliseconds. */
  keyMaxAgeMs?: number | undefined;
}

/** JWT-SVIDs are signed by keys of their own: a token of one kind must never pass for another (RFC 8725 §3.11). */
const jwtSvids = {
  name: 'jwt-svid' as const,
  label: 'JWT-SVID signing key',
  algorithm: 'ES256' as const,
  publishLeadMs: PUBLISH_LEAD_MS,
  overlapMs: trustDomainLimits.jwtSvidMaxTtlSeconds * 1000 + CLOCK_SKEW_MS,
};

/** How often an unknown intermediate may make us look for new ones: anyone can present one. */
const LOOK_AGAIN_MS = 5_000;

/** Everything of a trust domain but its HTTP routes. */
export type TrustDomainCore = Omit<TrustDomain, 'handle' | 'issuancePaths'>;

export async function openTrustDomain(dependencies: TrustDomainDependencies): Promise<TrustDomainCore> {
  const { registry, clock, trustDomain, log } = dependencies;
  const authorities = await openAuthorities(dependencies);
  const federation = await openFederation(dependencies);
  let jwtKeys: Awaited<ReturnType<typeof openSigningKeys>> | undefined;
  let lookedAt = 0;
  let made: { version: string; bundle: SpiffeBundle } | undefined;

  /** The first SVID or reader of the bundle has the keys made: a workspace that uses none has none. */
  const ensure = async () => {
    await authorities.ensure();
    jwtKeys ??= await openSigningKeys(dependencies, jwtSvids);
    return jwtKeys;
  };
  const refresh = async () => {
    await authorities.refresh();
    await jwtKeys?.refresh();
    await federation.refresh();
  };

  const ownBundle = (keys: NonNullable<typeof jwtKeys>): SpiffeBundle => {
    const roots = authorities.roots();
    const published = keys.jwks().keys;
    const now = clock.now();
    const sequence = Math.max(
      authorities.changedAt(),
      ...keys
        .list()
        .flatMap(({ createdAt, signsFrom }) => [createdAt, signsFrom + jwtSvids.overlapMs])
        .filter((at) => at <= now),
    );
    const version = [sequence, ...roots.map(({ id }) => id), ...published.map(({ kid }) => kid)].join();
    if (made?.version !== version) {
      const bundle = makeBundle({ trustDomain, sequence, roots: roots.map(({ der }) => der), jwtKeys: published });
      made = { version, bundle };
    }
    return made.bundle;
  };
  const bundleOf = (keys: NonNullable<typeof jwtKeys>) => (name: string) =>
    name === trustDomain ? ownBundle(keys) : federation.bundleOf(name);

  const lookAgain = async () => {
    if (clock.now() - lookedAt < LOOK_AGAIN_MS) return false;
    lookedAt = clock.now();
    await refresh();
    return true;
  };

  const issuer = createIssuer({
    ...dependencies,
    authorities,
    jwtSigner: () => (jwtKeys as NonNullable<typeof jwtKeys>).signer(),
  });

  async function verifySvid(chain: readonly Uint8Array[]): Promise<VerifiedX509Svid> {
    const keys = await ensure();
    const verified = await verifyChain(chain, { bundleOf: bundleOf(keys), now: clock.now() }).catch(async (error) => {
      const isUnknown = error instanceof GatehouseError && error.code === 'svid.untrusted';
      if (!isUnknown || !(await lookAgain())) throw error;
      return verifyChain(chain, { bundleOf: bundleOf(keys), now: clock.now() });
    });
    const { spiffeId, notAfter, thumbprint, publicKey, serial, path } = verified;
    const from = verified.trustDomain;
    const validUntil = Math.min(verified.validUntil, from === trustDomain ? Infinity : federation.trustedUntil(from));
    const svid = { spiffeId, trustDomain: from, notAfter, validUntil, thumbprint, publicKey };
    if (from !== trustDomain) return svid;
    // A root cannot take back what it has signed; here a destroyed intermediate is nobody's, at once.
    const known = (intermediate: Buffer) => authorities.isKnown(intermediate);
    if (!verified.intermediates.every(known) && !((await lookAgain()) && verified.intermediates.every(known)))
      throw refused('untrusted', 'the intermediate that signed it was destroyed');
    const kind = principalOfPath(path)?.kind;
    return kind === 'agent' || kind === 'workload' ? { ...svid, ...readSerial(serial) } : svid;
  }

  async function verifyJwtSvid(token: string, audience: string): Promise<VerifiedJwtSvid> {
    const keys = await ensure();
    const verify = () => verifyJwt(token, audience, { bundleOf: bundleOf(keys), now: clock.now() });
    let verified: ReturnType<typeof verify>;
    try {
      verified = verify();
    } catch (error) {
      const isUnknown = error instanceof GatehouseError && error.code === 'svid.untrusted';
      if (!isUnknown || !(await lookAgain())) throw error;
      verified = verify();
    }
    const { spiffeId, expiresAt, audience: audiences, claims } = verified;
    const { agent_epoch, workload_epoch } = (claims.gatehouse ?? {}) as Record<string, unknown>;
    const epoch = principalOf(spiffeId)?.kind === 'workload' ? workload_epoch : agent_epoch;
    return {
      spiffeId,
      trustDomain: verified.trustDomain,
      notAfter: expiresAt,
      audience: audiences,
      claims,
      ...(verified.trustDomain === trustDomain && typeof epoch === 'number' && { epoch }),
    };
  }

  const prefix = `spiffe://${trustDomain}/`;
  const isOwn = (spiffeId: string) => spiffeId.startsWith(prefix);
  const principalOf: TrustDomain['principalOf'] = (spiffeId) =>
    isOwn(spiffeId) ? principalOfPath(spiffeId.slice(prefix.length - 1)) : undefined;

  const whyWorkloadRefused = (
    { spiffeId, epoch }: Pick<VerifiedX509Svid, 'spiffeId' | 'epoch'>,
    name: string,
  ): string | undefined => {
    let workload: ReturnType<typeof registry.workloadAtWork>;
    try {
      workload = registry.workloadAtWork(name);
    } catch (error) {
      if (error instanceof GatehouseError && error.kind !== 'internal') return error.message;
      throw error;
    }
    if (workload.spiffeId !== spiffeId) return `there is no workload ${name} in that environment`;
    return workload.epoch === epoch
      ? undefined
      : `workload ${name} was changed since this SVID was made: fetch a new one`;
  };

  return {
    name: trustDomain,
    issueX509: issuer.issueX509,
    issueForTools: issuer.issueForTools,
    async issueJwt(issue) {
      await ensure();
      return issuer.issueJwt(issue);
    },
    serverSvid: issuer.serverSvid,
    verifySvid,
    verifyJwtSvid,
    isOwn,
    principalOf,
    async whyRefused({ spiffeId, epoch }) {
      if (!isOwn(spiffeId)) return undefined;
      const principal = principalOf(spiffeId);
      if (!principal) return `${spiffeId} names nobody here`;
      if (principal.kind === 'workload') return whyWorkloadRefused({ spiffeId, epoch }, principal.name);
      if (principal.kind !== 'agent') return undefined;
      if (!dependencies.storage.feed.fresh()) return 'this replica has lost touch with the workspace';
      const agent = registry.snapshot().agents.get(principal.name);
      if (!agent || agent.manifest.environment !== principal.environment) return `there is no agent ${principal.name}`;
      const stopped = whyStopped(agent);
      if (stopped) return stopped.message;
      if (agent.epoch !== epoch) return `agent ${agent.name} was changed since this SVID was made: fetch a new one`;
      if (principal.task === null) return undefined;
      const task = await registry.task(principal.task);
      const runs =
        task?.agent === agent.name && task.state === 'active' && !task.suspended && task.expiresAt > clock.now();
      return runs ? whyChainStopped(task, registry.snapshot()) : `task ${principal.task} is over`;
    },
    bundle: async () => ownBundle(await ensure()),
    foreignBundles: federation.bundles,
    async rootsPem() {
      await ensure();
      return authorities
        .roots()
        .map(({ certificate }) => certificate.toString())
        .join('');
    },
    async view() {
      const keys = await ensure();
      return viewOf({ trustDomain, authorities, keys, bundle: ownBundle(keys), federated: await federation.view() });
    },
    async rotate(options) {
      await ensure();
      return authorities.rotate(options);
    },
    async rotateJwt(options) {
      const { kid, signsFrom } = await (await ensure()).rotate(options);
      return { id: kid, signsFrom };
    },
    requestIntermediate: authorities.requestIntermediate,
    importIntermediate: authorities.importIntermediate,
    async exportRoot(options) {
      await ensure();
      return authorities.exportRoot(options);
    },
    forgetRootKey: authorities.forgetRootKey,
    refresh,
    async tick() {
      await federation.tick();
      if (authorities.rotationDue())
        await authorities.rotate({ by: 'gatehouse' }).catch((error) => {
          log.warn('the X.509 intermediate is past half of its life and was not rotated', { error });
        });
      if (jwtKeys?.rotationDue()) await jwtKeys.rotate({ by: 'gatehouse' });
    },
  };
}
