import type { EndorsedValue, GrantRequest, GrantTerms } from '@gatehouse/protocol';
import type { VerifiedAssertion } from '../identity/index.ts';
import { canonicalJson, digestJson, GatehouseError, type Json } from '../platform/index.ts';
import type { AdministrativeChange, Database, DatabaseTransaction } from '../storage/index.ts';
import type { ApprovalsDependencies } from './approvals.ts';
import { type Asked, about, inconsistent, notOpen, read, requireState, rowOf } from './asked.ts';
import { sealYes } from './channel-yes.ts';
import type { Answer } from './channels/types.ts';
import { readDeputies } from './deputyship.ts';
import { type ApprovalEvidence, evidenceOf } from './evidence.ts';
import { notAlone, type StandingGrants } from './grants/index.ts';
import { type ApprovalRow, endorsedByAll, subjectOf, toApproval, type VoteRow } from './rows.ts';
import type { Circle } from './rule/circle.ts';
import { standingOf, whoMayApprove } from './rule/standing.ts';
import { approvalChallenge, type ListedApproval } from './subject.ts';
import { ANSWERS_PER_APPROVAL, rowProblem, sealApproval } from './votes.ts';
import { inPlaceOf, noesToEnd, requireApprover, requireDenier, rulesOf } from './who-may.ts';

const REASON_CHARS = 500;
/** Whoever works on the server's host may stop things there; a yes is for people with passkeys. */
const OPERATOR = 'operator';
const SECOND_MS = 1_000;

interface Yes {
  asked: Pick<Asked, 'row' | 'approval' | 'question' | 'votes'>;
  number: number;
  person: string;
  /** What proves it. */
  assertion: string;
  /** When it was said; now, unless another place kept it until we asked. */
  at?: number;
  changes: string[];
  granted?: { terms: GrantTerms; evidence: ApprovalEvidence };
}

/** What a yes is given with. `list`: all that the same gesture signed. */
interface SignedYes {
  id: string;
  digest: string;
  person: string;
  verified: VerifiedAssertion;
  endorse?: readonly EndorsedValue[];
  grant?: GrantTerms | undefined;
  list?: readonly ListedApproval[];
}

/** The moves that people make: yes and no. What is refused is recorded with who tried. */
export function createDecisions({
  grants,
  storage,
  registry,
  people,
  recordChange,
  onEnded,
  tell,
  clock,
  log,
  publicUrl,
  sealer,
  endorse: keepEndorsed = async () => {
    throw new GatehouseError('internal', 'approval.endorse', 'Nothing keeps endorsed values here.');
  },
}: ApprovalsDependencies & { grants: Pick<StandingGrants, 'termsFor' | 'give'> }) {
  const { origin } = new URL(publicUrl);
  const actor = (person: string) => (person === OPERATOR ? OPERATOR : `person:${person}`);
  const circleIn = async (database: Database | DatabaseTransaction): Promise<Circle> => ({
    snapshot: registry.snapshot(),
    deputies: await readDeputies(database, clock.now(), sealer),
  });

  /** Everything that must hold for a yes but the passkey. Asked before the passkey is, and again in the transaction. */
  async function examine(
    database: Database | DatabaseTransaction,
    id: string,
    person: string,
    through?: { channel: string; who: string },
  ): Promise<Asked> {
    const asked = await read(database, id);
    const { row, votes, approval, agent, question } = asked;
    const circle = await circleIn(database);
    if (question.wants(person) || row.state === 'pending')
      requireApprover(person, approval, question, circle, clock.now(), through);
    requireState(row, ['pending'], clock);
    const subject = subjectOf(row);
    if (!subject || rowProblem(row, votes, { origin, sealer }) !== null) throw inconsistent();
    if (agent?.state !== 'active' || agent.epoch !== subject.agentEpoch) {
      throw new GatehouseError(
        'conflict',
        'approval.agent-changed',
        `The agent ${row.agent} has been stopped or changed since it asked. If it is still wanted, let it ask again.`,
      );
    }
    const task = await database
      .selectFrom('tasks')
      .select(['state', 'suspended'])
      .where('id', '=', row.task)
      .executeTakeFirst();
    if (task?.state !== 'active') {
      throw new GatehouseError('conflict', 'approval.task-ended', 'The task that asked for this has ended.');
    }
    if (task.suspended !== null)
      throw new GatehouseError(
        'conflict',
        'approval.task-suspended',
        'The task that asked for this is suspended. Look at it first, and let it go on if it should.',
      );
    return asked;
  }

  async function recordMove(
    transaction: DatabaseTransaction,
    row: ApprovalRow,
    operation: string,
    by: string,
    more: Pick<AdministrativeChange, 'detail'> & { changes?: string[] } = {},
  ): Promise<void> {
    await recordChange(transaction, {
      ...about(row),
      operation,
      by,
      changes: [`approval ${row.state}`, `digest ${row.digest}`, ...(more.changes ?? [])],
      ...(more.detail && { detail: more.detail }),
    });
    if (['denied', 'expired', 'cancelled'].includes(row.state)) await onEnded?.(transaction, row.id);
    if (row.state !== 'pending') await tell?.onDecided?.(transaction, toApproval(row, [], clock.now()));
    await storage.announce(transaction, 'approval', row.id, clock.now());
  }

  /** Runs the move; when it is refused, records by whom it was tried before passing the refusal on. */
  async function recorded<T>(move: string, id: string, person: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await recordRefusal(move, id, person, error);
      throw error;
    }
  }

  async function recordRefusal(move: string, id: string, person: string, error: unknown): Promise<void> {
    if (!(error instanceof GatehouseError) || error.status >= 500) return;
    try {
      await storage.transaction(async (transaction) => {
        const row = await rowOf(transaction, id);
        if (!row) return;
        await recordChange(transaction, {
          ...about(row),
          operation: `${move}.refuse`,
          by: actor(person),
          changes: [],
          detail: `${error.code}: ${error.message}`,
        });
      });
    } catch (cause) {
      log.error('a refused approval could not be recorded; it stays refused', { approval: id, person, error: cause });
    }
  }

  /** The number of the next answer. The row is held to the end of the transaction, so that answers on two replicas come one after the other. */
  async function nextAnswer(transaction: DatabaseTransaction, id: string, states: string[]): Promise<number> {
    const held = await transaction
      .updateTable('approvals')
      .set(({ eb }) => ({ answers: eb('answers', '+', 1) }))
      .where('id', '=', id)
      .where('state', 'in', states)
      .where('expires_at', '>', clock.now())
      .returning('answers')
      .executeTakeFirst();
    if (!held) throw notOpen((await read(transaction, id)).row, clock);
    if (held.answers > ANSWERS_PER_APPROVAL)
      throw new GatehouseError(
        'too-many',
        'approval.too-many-answers',
        `There are ${ANSWERS_PER_APPROVAL} answers to this already. Let the agent ask again.`,
      );
    return held.answers;
  }

  /**
   * Also not by the passkey of somebody whose yes there is already: two yeses are two people's. Nor, in another's place, by one of whoever
   * has put them there.
   */
  async function requireOwnHand(
    transaction: DatabaseTransaction,
    { approval, question }: Pick<Asked, 'approval' | 'question'>,
    { through, ...of }: { person: string; passkey?: string; through?: { channel: string; who: string } },
  ): Promise<void> {
    const hands = new Set(approval.votes.filter(({ answer }) => answer === 'yes').map((vote) => vote.person));
    const circle = await circleIn(transaction);
    for (const { madeBy } of inPlaceOf(of.person, approval, question, circle, clock.now(), through)) hands.add(madeBy);
    hands.delete(of.person);
    await people.requireSecondPerson(transaction, {
      ...of,
      wants: (email) => question.wants(email) || hands.has(email),
    });
  }

  /** One person's yes with a passkey, whose use this transaction has counted. */
  async function yesWithin(
    transaction: DatabaseTransaction,
    { id, digest, person, verified, endorse = [], grant, list }: SignedYes,
  ): Promise<{ row: ApprovalRow; votes: readonly VoteRow[] }> {
    const number = await nextAnswer(transaction, id, ['pending']);
    const { row, approval, question, votes } = await examine(transaction, id, person);
    if (row.digest !== digest) throw inconsistent();
    await requireOwnHand(transaction, { approval, question }, { person, passkey: verified.passkey });
    const evidence = evidenceOf(row, verified, { endorse, grant, list });
    return give(transaction, {
      asked: { row, approval, question, votes },
      number,
      person,
      assertion: canonicalJson(evidence),
      changes: [`assertion ${digestJson(evidence)}`, `passkey ${verified.passkey.slice(0, 12)}`],
      ...(grant && { granted: { terms: grant, evidence } }),
    });
  }

  const seal = (transaction: DatabaseTransaction, row: ApprovalRow, votes: readonly VoteRow[]) =>
    transaction
      .updateTable('approvals')
      .set({ seal: sealApproval(sealer, row, votes) })
      .where('id', '=', row.id)
      .execute();

  /** One more yes; the approval is approved with the one that its rules lack. */
  async function give(
    transaction: DatabaseTransaction,
    { asked, number, person, assertion, at, changes, granted }: Yes,
  ): Promise<{ row: ApprovalRow; votes: VoteRow[] }> {
    const { row, approval, question, votes } = asked;
    const { id } = row;
    const now = clock.now();
    const vote: VoteRow = {
      approval: id,
      number,
      person,
      answer: 'yes',
      at: at ?? now,
      assertion,
      reason: null,
    };
    await transaction.insertInto('approval_votes').values(vote).execute();
    const all = [...votes, vote];
    const circle = await circleIn(transaction);
    const given = toApproval(row, all, now);
    const rules = rulesOf(given);
    const isMet = rules.every((rule) => standingOf(rule, given.votes, question, circle, now).isMet);
    if (!isMet && granted) throw notAlone();
    if (!isMet) {
      await seal(transaction, row, all);
      await recordMove(transaction, row, 'approval.vote', `person:${person}`, { changes: ['yes', ...changes] });
      const before = whoMayApprove(rules, approval.votes, question, circle, now);
      const after = whoMayApprove(rules, given.votes, question, circle, now);
      const fresh = after.filter((each) => !before.includes(each));
      if (fresh.length > 0) await tell?.onAsked?.(transaction, given, fresh);
      return { row: (await rowOf(transaction, id)) ?? row, votes: all };
    }
    const decided = {
      state: 'approved',
      decided_at: now,
      decided_by: person,
      assertion: vote.assertion,
      expires_at: Math.min(row.expires_at, ...rules.map((rule) => lastsUntil(rule, given.votes, now))),
    };
    const approved = await transaction
      .updateTable('approvals')
      .set({ ...decided, seal: sealApproval(sealer, { ...row, ...decided }, all) })
      .where('id', '=', id)
      .where('state', '=', 'pending')
      .where('digest', '=', row.digest)
      .where('expires_at', '>', now)
      .returningAll()
      .executeTakeFirst();
    if (!approved) throw notOpen(row, clock);
    const values = endorsedByAll(approved, all);
    const endorsed =
      values.length === 0 ? [] : await keepEndorsed(transaction, { approval: id, task: row.task, person, values });
    const grantLines = granted
      ? await grants.give(transaction, {
          ...(await grantableOf(transaction, approved)),
          approval: id,
          person,
          ...granted,
        })
      : [];
    await recordMove(transaction, approved, 'approval.approve', `person:${person}`, {
      changes: [...changes, ...endorsed, ...grantLines],
    });
    return { row: approved, votes: all };
  }

  return {
    recordMove,
    examine,
    yesWithin,
    recordRefusal,

    async approvalOptions(id: string, person: string, endorse: readonly EndorsedValue[] = []): Promise<Json> {
      const { row, approval } = await examine(storage.db, id, person);
      requireHeld(approval.origins, endorse);
      return people.assertionOptions(person, approvalChallenge(row.id, row.digest, { endorse }));
    },

    async grantOptions(id: string, person: string, request: GrantRequest, endorse: readonly EndorsedValue[] = []) {
      const { row, approval } = await examine(storage.db, id, person);
      requireHeld(approval.origins, endorse);
      const grant = grants.termsFor({ ...(await grantableOf(storage.db, row)), person }, request);
      const challenge = approvalChallenge(row.id, row.digest, { endorse, grant });
      return { options: await people.assertionOptions(person, challenge), terms: grant };
    },

    approve: (
      id: string,
      person: string,
      assertion: Json,
      endorse: readonly EndorsedValue[] = [],
      grant: GrantTerms | undefined = undefined,
    ) =>
      recorded('approval.approve', id, person, async () => {
        const shown = await examine(storage.db, id, person);
        requireHeld(shown.approval.origins, endorse);
        const challenge = approvalChallenge(id, shown.row.digest, { endorse, grant });
        const verified = await people.verifyAssertion(person, challenge, assertion);
        return storage.transaction(async (transaction) => {
          await people.useAssertion(transaction, verified);
          return yesWithin(transaction, { id, digest: shown.row.digest, person, verified, endorse, grant });
        });
      }),

    approveThrough: (id: string, person: string, channel: string, { digest, who, evidence, at: saidAt }: Answer) =>
      recorded('approval.approve', id, person, () =>
        storage.transaction(async (transaction) => {
          const number = await nextAnswer(transaction, id, ['pending']);
          const asked = await examine(transaction, id, person, { channel, who });
          await requireOwnHand(transaction, asked, { person, through: { channel, who } });
          if (!(await wasSeenIn(transaction, id, channel)))
            throw new GatehouseError(
              'forbidden',
              'approval.not-seen',
              `${channel} did not show all of this action (it is long, or holds a credential). Open its page and approve it with a passkey.`,
            );
          if (digest !== undefined && digest !== asked.row.digest)
            throw new GatehouseError(
              'conflict',
              'approval.other-digest',
              'What was seen in the channel is another action than the one that waits here.',
            );
          // A yes lasts from when it was said. Nothing is said before it is asked, or in time to come.
          const now = clock.now();
          const at = Math.min(now, Math.max(asked.approval.createdAt, saidAt ?? now));
          const said = { approval: id, digest: asked.row.digest, person, channel, who, at };
          const assertion = sealYes({ ...said, verified: evidence }, sealer);
          const changes = [`said in channel ${channel} by ${who.slice(0, 100)}`, `evidence ${digestJson(evidence)}`];
          return give(transaction, { asked, number, person, assertion, at, changes });
        }),
      ),

    deny: (id: string, person: string, reason: string, channel?: string) =>
      recorded('approval.deny', id, person, () =>
        storage.transaction(async (transaction) => {
          const { row, approval, question } = await read(transaction, id);
          const circle = await circleIn(transaction);
          const { endsAlone } =
            person === OPERATOR
              ? { endsAlone: true }
              : requireDenier(circle.snapshot.people.get(person), approval, question, circle, clock.now());
          requireState(row, ['pending', 'approved'], clock);
          const number = await nextAnswer(transaction, id, ['pending', 'approved']);
          const now = clock.now();
          const words = reason.slice(0, REASON_CHARS) || null;
          const through = channel === undefined ? [] : [`through channel ${channel}`];
          const vote: VoteRow = { approval: id, number, person, answer: 'no', at: now, assertion: null, reason: words };
          const held = await read(transaction, id);
          await transaction.insertInto('approval_votes').values(vote).execute();
          const all = [...held.votes, vote];
          const noes = new Set(all.filter(({ answer }) => answer === 'no').map((each) => each.person));
          // What is approved already ends with one: the call could be made at any moment.
          if (!endsAlone && held.row.state === 'pending' && noes.size < noesToEnd(approval)) {
            // What was changed by hand is not made good by a no.
            const problem = rowProblem(held.row, held.votes, { origin, sealer });
            if (problem === null) await seal(transaction, held.row, all);
            await recordMove(transaction, row, 'approval.vote', actor(person), {
              changes: ['no', ...through],
              ...(words !== null && { detail: words }),
            });
            return { row: (await rowOf(transaction, id)) ?? row, votes: all };
          }
          const denied = await transaction
            .updateTable('approvals')
            .set({ state: 'denied', decided_at: now, decided_by: person, reason: words, seal: null })
            .where('id', '=', id)
            .where('state', 'in', ['pending', 'approved'])
            .returningAll()
            .executeTakeFirst();
          if (!denied) throw notOpen(row, clock);
          await recordMove(transaction, denied, 'approval.deny', actor(person), {
            ...(denied.reason !== null && { detail: denied.reason }),
            changes: through,
          });
          return { row: denied, votes: all };
        }),
      ),
  };
}

/** INVARIANT: whoever says yes where they are told has been shown there all that they say yes to. */
async function wasSeenIn(transaction: DatabaseTransaction, approval: string, channel: string): Promise<boolean> {
  const told = await transaction
    .selectFrom('deliveries')
    .select('whole')
    .where('approval', '=', approval)
    .where('channel', '=', channel)
    .where('event', '=', 'asked')
    .where('state', '=', 'sent')
    .execute();
  return told.length > 0 && told.every(({ whole }) => Number(whole) === 1);
}

/** What a grant of more calls like this one is measured by. */
async function grantableOf(database: Database | DatabaseTransaction, row: ApprovalRow) {
  const subject = subjectOf(row);
  if (!subject) throw inconsistent();
  const task = await database.selectFrom('tasks').select('expires_at').where('id', '=', row.task).executeTakeFirst();
  const { decision } = toApproval(row, [], row.created_at);
  return { subject, digest: row.digest, decision, taskEndsAt: task?.expires_at ?? 0 };
}

/** The first of the yeses that does not last any longer. */
function lastsUntil(
  { yesLastsSeconds }: ReturnType<typeof rulesOf>[number],
  votes: readonly { person: string; answer: string; at: number }[],
  now: number,
): number {
  if (yesLastsSeconds === undefined) return Number.POSITIVE_INFINITY;
  const last = new Map<string, number>();
  for (const { person, answer, at } of votes) if (answer === 'yes') last.set(person, at);
  const counting = [...last.values()].map((at) => at + yesLastsSeconds * SECOND_MS).filter((until) => until > now);
  return Math.min(...counting);
}

/** A person endorses what was held and shown to them, and nothing else. */
function requireHeld(origins: readonly { held: readonly EndorsedValue[] }[], endorse: readonly EndorsedValue[]): void {
  if (endorse.length === 0) return;
  const held = new Set(origins.flatMap((origin) => origin.held.map(keyOf)));
  const strange = endorse.find((each) => !held.has(keyOf(each)));
  if (strange)
    throw new GatehouseError(
      'bad-request',
      'approval.endorse',
      `"${strange.value.slice(0, 100)}" is not among the values that this call was held for, so that it can't be endorsed with it.`,
    );
}

const keyOf = ({ role, value, for: covers }: EndorsedValue) => JSON.stringify([role, value, covers]);
