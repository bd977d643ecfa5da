import type { OutsideProof, TrustRuleManifest, TrustTest } from '@gatehouse/protocol';
import { type Clock, GatehouseError, type Log, type Outbound } from '../../platform/index.ts';
import { type Registry, reuseOf, type Snapshot } from '../../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import type { Principal, Standing } from '../client-certificate/svid-verifier.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { federationLimits } from './limits.ts';
import { type ExamineDependencies, type Examined, examine, examineX509, matches, shown } from './match.ts';
import { createTurns, sourceOf } from './turns.ts';
import { forgetExpiredProofs, useProof } from './used-proofs.ts';

export interface FederationDependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  outbound: Outbound;
  /** Keys of issuers. */
  issuerKeys: IssuerKeys;
  clock: Clock;
  log: Log;
  publicUrl: string;
  verifySvid?: ExamineDependencies['verifySvid'];
}

/** A proof that exactly one principal stands behind. Nothing has been used up yet. */
export interface Vouched {
  rule: TrustRuleManifest;
  /** `iss sub`, or the ARN: for records. */
  source: string;
  /** What the DPoP proof beside it is bound to, where one is needed. */
  credential: string;
  /** To be called in the transaction that acts on it; refuses a proof that was used. `key`: the thumbprint it is presented with. */
  use(transaction: DatabaseTransaction, key: string): Promise<void>;
}

export interface Federation {
  /**
   * Whom the proof stands for. Throws GatehouseErrors that tell nothing of the rules; `unavailable` ones where nobody who could verify it answers.
   * `address`: where it comes from.
   */
  vouch(proof: OutsideProof, address?: string): Promise<Vouched>;
  /** What every rule makes of the proof, for people who may read rules. Uses nothing up, and records nothing. */
  explain(proof: OutsideProof): Promise<TrustTest>;
  /** Whom a verified X.509-SVID of a federated trust domain stands for now. From memory: it is asked with every request. */
  standingOf(spiffeId: string): Standing;
  /** Records, as far as refusals are, that an X.509-SVID which is verified stands for nobody. */
  refuseSvid(spiffeId: string, why: string): Promise<void>;
  /** Notes that a rule has let somebody in; in the transaction in which they get something. */
  noteUse(transaction: DatabaseTransaction, rule: string): Promise<void>;
  forgetExpired(): Promise<void>;
}

/** Whom outside issuers vouch for: rules alone decide, the default is nobody, and what two rules see differently is refused. */
export function createFederation(deps: FederationDependencies): Federation {
  const { storage, registry, recordChange, clock, log, publicUrl, outbound, issuerKeys: keys, verifySvid } = deps;
  const mayRecord = createRefusalMeter(clock);
  // Apart from refusals: anybody can send what cannot be verified now.
  const mayRecordOutage = createRefusalMeter(clock);
  const takeTurns = createTurns();

  const look = (proof: OutsideProof, from: string): Promise<Examined> =>
    examine(proof, {
      takeTurns,
      from,
      outbound,
      keys,
      publicUrl,
      now: clock.now(),
      rules: registry.snapshot().trustRules.values(),
      ...(verifySvid && { verifySvid }),
    });

  /** What an issuer has really signed is recorded, or what none could be asked about; and not without end: anybody may be known to a public issuer. */
  const recordRefusal = async (
    operation: string,
    examined: Pick<Examined, 'source'>,
    why: string[],
    may = mayRecord,
  ): Promise<void> => {
    log.info('an outside token was refused', { operation, source: examined.source, why });
    if (!may()) return;
    await storage.transaction((transaction) =>
      recordChange(transaction, { operation, by: 'gatehouse', changes: [`refused: ${examined.source}`, ...why] }),
    );
  };

  const standingOf = createStandings(registry);

  return {
    standingOf,
    refuseSvid: (spiffeId, why) => recordRefusal('trust.refuse', { source: `X.509-SVID ${spiffeId}` }, [why]),
    noteUse: (transaction, rule) => noteUse(transaction, [{ name: rule }], clock.now()),
    async vouch(proof, address) {
      requireFresh(storage);
      const examined = await look(proof, sourceOf(address));
      const matching = examined.rules.filter(matches).map(({ rule }) => rule);
      const [rule] = matching;
      if (!rule) {
        const unknown = unknownOf(examined);
        if (unknown.length > 0) {
          await recordRefusal('trust.unavailable', { source: 'not verified' }, unknown, mayRecordOutage);
          throw new GatehouseError(
            'unavailable',
            'trust.unavailable',
            'Whoever could say whether this proof is genuine cannot be asked just now, so nobody was let in. Nothing is wrong with the proof as far as is known: try again in a while.',
          );
        }
        const isProven = examined.rules.some(({ checks }) => checks[0]?.ok);
        if (isProven) await recordRefusal('trust.refuse', examined, failuresOf(examined));
        throw new GatehouseError(
          'forbidden',
          'trust.no-match',
          `${hintFor(examined)} An operator can see why: gatehouse trust test.`,
        );
      }
      if (new Set(matching.map(targetOf)).size > 1) {
        await recordRefusal('trust.ambiguous', examined, [`rules: ${matching.map(({ name }) => name).join(', ')}`]);
        throw new GatehouseError(
          'forbidden',
          'trust.ambiguous',
          'More than one trust rule matches, and they do not agree whom this is. An operator has to make them exclusive.',
        );
      }
      const reuse = matching.every((each) => reuseOf(each) === 'same-key') ? 'same-key' : 'once';
      return {
        rule,
        source: examined.source,
        credential: examined.credential,
        async use(transaction, key) {
          await useProof(transaction, { id: examined.id, expiresAt: examined.expiresAt, reuse, usedWith: key });
          await noteUse(transaction, matching, clock.now());
        },
      };
    },
    async explain(proof) {
      let examined: Examined;
      try {
        examined = await look(proof, 'an operator');
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.kind !== 'forbidden') throw error;
        return { match: null, problem: error.message, claims: null, rules: [] };
      }
      const rules = examined.rules.map((each) => ({
        rule: each.rule.name,
        matches: matches(each),
        checks: each.checks.map(({ what, ok, detail }) => ({ what, ok, detail })),
      }));
      const matching = examined.rules.filter(matches).map(({ rule }) => rule);
      const [rule] = matching;
      const isOne = rule !== undefined && new Set(matching.map(targetOf)).size === 1;
      return {
        match: isOne ? { rule: rule.name, agent: rule.agent ?? null, workload: rule.workload ?? null } : null,
        problem: isOne ? null : problemOf(examined, matching),
        claims: examined.claims,
        rules,
      };
    },
    forgetExpired: () => forgetExpiredProofs(storage.db, clock.now()),
  };
}

/** SVIDs seen since the rules were last changed. */
const MAX_STANDINGS = 10_000;

/** By the rules of this moment. Which matches is kept until they change: with as many as there may be, a look takes a millisecond. */
function createStandings(registry: Registry): Federation['standingOf'] {
  let rules: unknown;
  let known = new Map<string, TrustRuleManifest[]>();
  return (spiffeId) => {
    const snapshot = registry.snapshot();
    const { trustRules } = snapshot;
    if (rules !== trustRules || known.size >= MAX_STANDINGS) [rules, known] = [trustRules, new Map()];
    const matching =
      known.get(spiffeId) ??
      examineX509(spiffeId, trustRules.values())
        .filter(matches)
        .map(({ rule }) => rule);
    known.set(spiffeId, matching);
    const [rule] = matching;
    const principal = rule && principalOf(rule, snapshot);
    if (!principal) return { stranger: `No trust rule lets ${spiffeId} in.` };
    if (new Set(matching.map(targetOf)).size > 1)
      return { stranger: `More than one trust rule matches ${spiffeId}, and they do not agree whom it stands for.` };
    return { principal, rule: rule.name };
  };
}

function principalOf({ agent, workload }: TrustRuleManifest, { agents, workloads }: Snapshot): Principal | undefined {
  const ofAgent = agents.get(agent ?? '');
  if (ofAgent) return { kind: 'agent', environment: ofAgent.manifest.environment, name: ofAgent.name, task: null };
  const ofWorkload = workloads.get(workload ?? '');
  return ofWorkload && { kind: 'workload', environment: ofWorkload.environment, name: ofWorkload.name };
}

function requireFresh(storage: Storage): void {
  if (storage.feed.fresh()) return;
  throw new GatehouseError(
    'unavailable',
    'feed.stale',
    'This replica has lost touch with the workspace and lets nobody in. Try again, or another replica.',
  );
}

const targetOf = ({ agent, workload }: TrustRuleManifest): string =>
  agent === undefined ? `workload ${workload}` : `agent ${agent}`;

/** The rules may have been changed or removed meanwhile; uses of those that are gone harm nobody. */
async function noteUse(
  transaction: DatabaseTransaction,
  rules: Pick<TrustRuleManifest, 'name'>[],
  now: number,
): Promise<void> {
  for (const { name } of rules)
    await transaction
      .insertInto('trust_rule_uses')
      .values({ rule: name, used_at: now, uses: 1 })
      .onConflict((conflict) =>
        conflict.column('rule').doUpdateSet((eb) => ({ used_at: now, uses: eb('trust_rule_uses.uses', '+', 1) })),
      )
      .execute();
}

/** Rules that an outage kept from being decided, and why. */
const unknownOf = ({ rules }: Examined): string[] =>
  rules
    .flatMap(({ rule, checks }) => checks.flatMap(({ unknown }) => (unknown ? `${rule.name}: ${unknown.message}` : [])))
    .slice(0, 10)
    .map((each) => each.slice(0, 500));

const failuresOf = ({ rules }: Examined): string[] =>
  rules.slice(0, 10).map(({ rule, checks }) => {
    const failed = checks.filter(({ ok }) => !ok).map(({ what }) => what);
    return `${rule.name}: ${failed.join(', ')}`;
  });

/** What its holder can put right: what follows from the token itself, and from nothing that a rule says. */
function hintFor({ rules }: Examined): string {
  const everyOne = (what: string) =>
    rules.length > 0 && rules.every(({ checks }) => checks.some((check) => check.what === what && !check.ok));
  if (everyOne('signature')) return 'The token could not be verified as one of a trusted issuer.';
  if (everyOne('times')) return 'The token has expired, is not valid yet, or is too old: get a new one.';
  if (everyOne('audience'))
    return 'The token is for another audience: ask the issuer for one that is for this server alone.';
  return 'No trust rule lets this token in.';
}

function problemOf(examined: Examined, matching: TrustRuleManifest[]): string {
  if (matching.length > 1)
    return `Ambiguous: ${matching.map(({ name }) => name).join(' and ')} match and stand for different principals.`;
  if (examined.rules.length === 0)
    return `No trust rule is for the issuer ${shown(examined.claims.iss ?? 'AWS')}. Apply a TrustRule that names it.`;
  const nearest = [...examined.rules].sort((a, b) => failed(a) - failed(b))[0] as Examined['rules'][number];
  const details = nearest.checks.filter(({ ok }) => !ok).map(({ what, detail }) => `${what}: ${detail}`);
  return `No rule matches. The nearest is "${nearest.rule.name}". ${details.join('; ').replace(/\.$/, '')}.`;
}

const failed = ({ checks }: Examined['rules'][number]): number =>
  checks.filter(({ ok }) => !ok).length + (checks[0]?.ok ? 0 : 100);

/** True while the refusals of this minute are few enough to be recorded. */
export function createRefusalMeter(clock: Clock): () => boolean {
  let minute = 0;
  let recorded = 0;
  return () => {
    const now = Math.floor(clock.now() / 60_000);
    if (now !== minute) [minute, recorded] = [now, 0];
    recorded += 1;
    return recorded <= federationLimits.recordedRefusalsPerMinute;
  };
}
