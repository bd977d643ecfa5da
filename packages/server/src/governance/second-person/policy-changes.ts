import type { Api, Manifest, ProposalView, ProposedChange, Relaxation, ReplayResult } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../../identity/index.ts';
import { type Clock, canonicalJson, digestJson, GatehouseError, type Json } from '../../platform/index.ts';
import { type ApplyOptions, newestVersion, type Registry, type Step } from '../../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import { type ApplyDependencies, applyWorkspace } from '../apply-workspace.ts';
import { asksForSecondPerson, decidersOf } from './deciders.ts';
import { secondPersonLimits as limits } from './limits.ts';
import {
  keyOfChange,
  newSalt,
  type ProposalRow,
  type ProposedWork,
  proposalChallenge,
  proposalDigest,
  readProposal,
  replayOf,
  shownChanges,
  shownOf,
  stateOf,
  withoutValues,
  workOf,
} from './proposal-rows.ts';
import { relaxationsOf } from './relaxations.ts';
import { notOpen, whyNotShip } from './who-ships.ts';

type Describe = ApplyDependencies['describe'];

export interface ChangeRequest {
  manifests: Manifest[];
  prune: boolean;
  remove?: readonly string[];
  rollbackTo?: number;
  note: string;
  /** `operator`, or `person:EMAIL`. */
  by: string;
  describe: Describe;
  mayChange?: ApplyOptions['mayChange'];
  /** Looks at each step of what would only be proposed. */
  mayPropose?(step: Step): void;
  first?: ApplyOptions['first'];
}

export interface PolicyChanges {
  /** Applies at once what only tightens, or is asked for where nobody has to agree; proposes the rest. */
  change(request: ChangeRequest): Promise<Api['POST /apply']>;
  /** Throws where `change` would propose it: to be given to a plan. */
  consider: NonNullable<ApplyOptions['consider']>;
  list(filter: { before?: number | undefined; limit: number }, viewer: string): Promise<ProposalView[]>;
  get(number: number, viewer: string): Promise<ProposalView & { manifests: Manifest[] }>;
  work(number: number): Promise<ProposedWork>;
  keepReplay(number: number, result: ReplayResult): Promise<void>;
  /** PublicKeyCredentialRequestOptionsJSON over the proposal and the digest of what was shown. */
  options(number: number, person: string, digest: string): Promise<Json>;
  ship(number: number, person: string, answer: { digest: string; assertion: Json }, describe: Describe): Promise<void>;
  /** Also by its author, who takes it back. */
  reject(number: number, by: string, reason: string): Promise<void>;
}

export interface PolicyChangesDependencies {
  registry: Registry;
  storage: Pick<Storage, 'db' | 'transaction'>;
  people: PasskeyVerification;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
  /** Hears of a new proposal once it is stored. */
  onProposed?(number: number): void;
}

/** Thrown in the transaction of an apply, which is thereby taken back. */
export class SecondPersonNeeded extends Error {
  readonly steps: readonly Step[];
  readonly relaxes: Relaxation[];

  constructor(steps: readonly Step[], relaxes: Relaxation[]) {
    super('a second person has to agree');
    this.steps = steps;
    this.relaxes = relaxes;
  }
}

/**
 * Changes of what decides. One that could let through what was stopped waits, in workspaces that ask for it, until somebody else than its
 * author has shipped it with a passkey over exactly what was shown. What this room does not do: say who may apply at all.
 */
export function createPolicyChanges(deps: PolicyChangesDependencies): PolicyChanges {
  const { registry, storage, people, recordChange, clock, publicUrl } = deps;
  const urlOf = (number: number) => `${publicUrl}/policy/proposals/${number}`;

  /** A workspace in which nobody could ship anything is one that is being set up. */
  const consider: PolicyChanges['consider'] = async (steps, transaction) => {
    const relaxes = relaxationsOf(steps);
    const snapshot = registry.snapshot();
    if (relaxes.length === 0 || !asksForSecondPerson(snapshot, relaxes, steps)) return;
    if ((await decidersOf(transaction, snapshot)).size > 0) throw new SecondPersonNeeded(steps, relaxes);
  };

  async function propose(request: ChangeRequest, needed: SecondPersonNeeded): Promise<ProposedChange> {
    const { manifests, prune, remove = [], rollbackTo = null, note, by } = request;
    for (const step of needed.steps) request.mayPropose?.(step);
    const work: ProposedWork = { manifests, prune, remove, rollbackTo, salt: newSalt() };
    const change = canonicalJson(JSON.parse(JSON.stringify(work)));
    const shown = JSON.stringify({ changes: shownChanges(needed.steps), relaxes: needed.relaxes });
    if (Buffer.byteLength(change) + Buffer.byteLength(shown) > limits.proposalBytes)
      throw new GatehouseError(
        'too-large',
        'proposal.too-large',
        'This is more than anybody reads through before a yes. Propose it in parts.',
      );
    const now = clock.now();
    const row = await storage.transaction(async (transaction) => {
      const open = await transaction
        .selectFrom('policy_proposals')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('state', '=', 'open')
        .where('expires_at', '>', now)
        .executeTakeFirstOrThrow();
      if (Number(open.count) >= limits.openProposals)
        throw new GatehouseError(
          'too-many',
          'proposal.too-many',
          `${limits.openProposals} proposed changes wait already. Have some of them shipped or rejected first.`,
        );
      const last = await transaction
        .selectFrom('policy_proposals')
        .select(({ fn }) => fn.max('number').as('number'))
        .executeTakeFirst();
      const head = {
        number: Number(last?.number ?? 0) + 1,
        author: by,
        note,
        base: (await newestVersion(transaction))?.number ?? 0,
        change,
        shown,
      };
      const added: ProposalRow = {
        ...head,
        digest: proposalDigest(head),
        state: 'open',
        created_at: now,
        expires_at: now + limits.proposalTtlMs,
        decided_at: null,
        decided_by: null,
        reason: null,
        assertion: null,
        replay: null,
      };
      await transaction.insertInto('policy_proposals').values(added).execute();
      await record(transaction, added, 'propose', by, [
        ...needed.relaxes.slice(0, 20).map(({ kind, name, why }) => `${kind} ${name}: ${why}`.slice(0, 300)),
      ]);
      return added;
    });
    deps.onProposed?.(row.number);
    return { number: row.number, url: urlOf(row.number), relaxes: needed.relaxes, expiresAt: row.expires_at };
  }

  const record = (transaction: DatabaseTransaction, row: ProposalRow, what: string, by: string, words: string[]) =>
    recordChange(transaction, {
      operation: `policy.${what}`,
      by,
      changes: [`proposal ${row.number} of ${row.author}`, `digest ${row.digest}`, ...words],
      ...(row.note && { detail: row.note }),
    });

  /** All that must hold for a yes but the passkey. Asked before the passkey is, and again in the transaction. */
  async function examine(db: Storage['db'] | DatabaseTransaction, number: number, person: string, digest: string) {
    const row = await readProposal(db, number);
    const deciders = await decidersOf(db, registry.snapshot());
    const state = await stateOf(db, row, clock.now());
    const why = whyNotShip(row, state, person, deciders);
    if (why) throw why;
    if (digest !== row.digest || proposalDigest(row) !== row.digest)
      throw new GatehouseError(
        'conflict',
        'proposal.changed',
        'This is not what was shown to you. Look at it again, then answer.',
      );
    return { row, alone: row.author === `person:${person}` };
  }

  async function viewOf(row: ProposalRow, viewer: string, deciders: ReadonlySet<string>): Promise<ProposalView> {
    const state = await stateOf(storage.db, row, clock.now());
    const why = whyNotShip(row, state, viewer.replace(/^person:/, ''), deciders);
    return {
      number: row.number,
      state,
      author: row.author,
      note: row.note,
      base: row.base,
      ...shownOf(row),
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      decidedAt: row.decided_at,
      decidedBy: row.decided_by,
      reason: row.reason,
      digest: row.digest,
      url: urlOf(row.number),
      replay: replayOf(row),
      mayShip: { may: why === null, why: why?.message ?? null },
    };
  }

  async function move(
    transaction: DatabaseTransaction,
    row: ProposalRow,
    to: { state: string; decided_by: string; reason?: string | null; assertion?: string },
  ): Promise<void> {
    const { manifests, ...work } = workOf(row);
    const moved = await transaction
      .updateTable('policy_proposals')
      .set({
        ...to,
        decided_at: clock.now(),
        change: canonicalJson({ ...work, manifests: withoutValues(manifests) } as unknown as Json),
      })
      .where('number', '=', row.number)
      .where('state', '=', 'open')
      .where('digest', '=', row.digest)
      .returning('number')
      .executeTakeFirst();
    if (!moved) throw notOpen(row.number, 'decided');
  }

  return {
    consider,

    async change(request) {
      const { manifests, prune, remove = [], rollbackTo, note, by, describe, mayChange, first } = request;
      const version = { ...(note && { note }), ...(rollbackTo !== undefined && { rollbackTo }) };
      try {
        return await applyWorkspace({ registry, describe }, manifests, {
          prune,
          remove,
          by,
          version,
          consider,
          ...(mayChange && { mayChange }),
          ...(first && { first }),
        });
      } catch (error) {
        if (!(error instanceof SecondPersonNeeded)) throw error;
        return { changes: shownChanges(error.steps), problems: [], proposed: await propose(request, error) };
      }
    },

    async list({ before, limit }, viewer) {
      let select = storage.db.selectFrom('policy_proposals').selectAll().orderBy('number', 'desc').limit(limit);
      if (before !== undefined) select = select.where('number', '<', before);
      const deciders = await decidersOf(storage.db, registry.snapshot());
      return Promise.all((await select.execute()).map((row) => viewOf(row, viewer, deciders)));
    },

    async get(number, viewer) {
      const row = await readProposal(storage.db, number);
      const view = await viewOf(row, viewer, await decidersOf(storage.db, registry.snapshot()));
      return { ...view, manifests: withoutValues(workOf(row).manifests) };
    },

    work: async (number) => workOf(await readProposal(storage.db, number)),

    async keepReplay(number, result) {
      await storage.transaction((transaction) =>
        transaction
          .updateTable('policy_proposals')
          .set({ replay: JSON.stringify(result) })
          .where('number', '=', number)
          .execute(),
      );
    },

    async options(number, person, digest) {
      await examine(storage.db, number, person, digest);
      return people.assertionOptions(person, proposalChallenge(number, digest));
    },

    async ship(number, person, { digest, assertion }, describe) {
      const { row } = await examine(storage.db, number, person, digest);
      const verified = await people.verifyAssertion(person, proposalChallenge(number, digest), assertion);
      const { manifests, prune, remove, rollbackTo } = workOf(row);
      const expected = new Set(shownOf(row).changes.map(keyOfChange));
      const evidence = {
        v: 1,
        proposal: number,
        digest,
        person,
        passkey: verified.passkey,
        publicKey: verified.publicKey,
        rpId: verified.rpId,
        origin: verified.origin,
        response: verified.response,
      } as const;
      await applyWorkspace({ registry, describe }, manifests, {
        prune,
        remove,
        by: row.author,
        version: {
          approvedBy: `person:${person}`,
          proposal: number,
          ...(row.note && { note: row.note }),
          ...(rollbackTo !== null && { rollbackTo }),
        },
        async first(transaction) {
          const { row: now, alone } = await examine(transaction, number, person, digest);
          await requireOlderPasskey(transaction, verified.passkey, now);
          await people.useAssertion(transaction, verified);
          await move(transaction, now, {
            state: 'shipped',
            decided_by: `person:${person}`,
            assertion: canonicalJson(evidence as unknown as Json),
          });
          await record(transaction, now, 'ship', `person:${person}`, [
            `assertion ${digestJson(evidence as unknown as Json)}`,
            `passkey ${verified.passkey.slice(0, 12)}`,
            ...(alone ? ['by its author: nobody else has the role and a passkey'] : []),
          ]);
        },
        async consider(steps) {
          const changes = shownChanges(steps).map(keyOfChange);
          if (changes.length !== expected.size || changes.some((key) => !expected.has(key)))
            throw new GatehouseError(
              'conflict',
              'proposal.stale',
              'The workspace has changed since, so that this would do something else than was shown. Apply it again, for a new proposal.',
            );
        },
      });
    },

    async reject(number, by, reason) {
      await storage.transaction(async (transaction) => {
        const row = await readProposal(transaction, number);
        if (row.state !== 'open') throw notOpen(number, row.state);
        await move(transaction, row, { state: 'rejected', decided_by: by, reason: reason || null });
        await record(transaction, row, row.author === by ? 'withdraw' : 'reject', by, reason ? [reason] : []);
      });
    },
  };
}

/** Somebody who was given a passkey for the occasion is no second person. */
async function requireOlderPasskey(transaction: DatabaseTransaction, id: string, row: ProposalRow): Promise<void> {
  const passkey = await transaction.selectFrom('passkeys').select('created_at').where('id', '=', id).executeTakeFirst();
  if (passkey && passkey.created_at < row.created_at) return;
  throw new GatehouseError(
    'forbidden',
    'proposal.new-passkey',
    'This passkey was enrolled after the change was proposed, so it does not ship it. Use one that is older, or have the change proposed again.',
  );
}
