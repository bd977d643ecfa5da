import type { EndorsedValue } from '@gatehouse/protocol';
import { type Clock, canonicalJson, digestJson, GatehouseError, type Json, type Log } from '../platform/index.ts';
import type { AdministrativeChange, Database, DatabaseTransaction } from '../storage/index.ts';
import type { ApprovalsDependencies } from './approvals.ts';
import { evidenceOf } from './evidence.ts';
import { type ApprovalRow, subjectOf, toApproval } from './rows.ts';
import { approvalChallenge } from './subject.ts';
import { type Asked, requireApprover, requireDenier, wantsIt } from './who-may.ts';

const REASON_CHARS = 500;
/** Whoever works on the server's host may stop things there; a yes is for people with passkeys. */
const OPERATOR = 'operator';

/** The moves that people make: yes and no. What is refused is recorded with who tried. */
export function createDecisions({
  storage,
  registry,
  people,
  recordChange,
  onEnded,
  clock,
  log,
  endorse: keepEndorsed = async () => {
    throw new GatehouseError('internal', 'approval.endorse', 'Nothing keeps endorsed values here.');
  },
}: ApprovalsDependencies) {
  const personOf = (email: string) => registry.snapshot().people.get(email);
  const actor = (person: string) => (person === OPERATOR ? OPERATOR : `person:${person}`);

  /** Everything that must hold for a yes but the passkey. Asked before the passkey is, and again in the transaction. */
  async function examine(database: Database | DatabaseTransaction, id: string, person: string): Promise<ApprovalRow> {
    const { row, agent, asked } = await read(database, id);
    requireApprover(personOf(person), asked);
    requireState(row, ['pending'], clock);
    const subject = subjectOf(row);
    if (!subject) throw inconsistent();
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
    return row;
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
    await storage.announce(transaction, 'approval', row.id, clock.now());
  }

  /** Runs the move; when it is refused, records by whom it was tried before passing the refusal on. */
  async function recorded(
    move: string,
    id: string,
    person: string,
    work: () => Promise<ApprovalRow>,
  ): Promise<ApprovalRow> {
    try {
      return await work();
    } catch (error) {
      await recordRefusal(move, id, person, error, log);
      throw error;
    }
  }

  async function recordRefusal(move: string, id: string, person: string, error: unknown, to: Log): Promise<void> {
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
      to.error('a refused approval could not be recorded; it stays refused', { approval: id, person, error: cause });
    }
  }

  return {
    recordMove,

    async approvalOptions(id: string, person: string, endorse: readonly EndorsedValue[] = []): Promise<Json> {
      const row = await examine(storage.db, id, person);
      requireHeld(row, endorse);
      return people.assertionOptions(person, approvalChallenge(row.id, row.digest, endorse));
    },

    approve: (id: string, person: string, assertion: Json, endorse: readonly EndorsedValue[] = []) =>
      recorded('approval.approve', id, person, async () => {
        const asked = await examine(storage.db, id, person);
        requireHeld(asked, endorse);
        const challenge = approvalChallenge(asked.id, asked.digest, endorse);
        const verified = await people.verifyAssertion(person, challenge, assertion);
        return storage.transaction(async (transaction) => {
          const row = await examine(transaction, id, person);
          await people.useAssertion(transaction, verified);
          const { asked: by } = await read(transaction, id);
          await people.requireSecondPerson(transaction, {
            person,
            passkey: verified.passkey,
            wants: (email) => wantsIt(by, email),
          });
          const evidence = evidenceOf(asked, verified, { endorse });
          const now = clock.now();
          const approved = await transaction
            .updateTable('approvals')
            .set({ state: 'approved', decided_at: now, decided_by: person, assertion: canonicalJson(evidence) })
            .where('id', '=', id)
            .where('state', '=', 'pending')
            .where('digest', '=', asked.digest)
            .where('expires_at', '>', now)
            .returningAll()
            .executeTakeFirst();
          if (!approved) throw notOpen(row, clock);
          const endorsed =
            endorse.length === 0
              ? []
              : await keepEndorsed(transaction, { approval: id, task: row.task, person, values: endorse });
          await recordMove(transaction, approved, 'approval.approve', `person:${person}`, {
            changes: [`assertion ${digestJson(evidence)}`, `passkey ${verified.passkey.slice(0, 12)}`, ...endorsed],
          });
          return approved;
        });
      }),

    deny: (id: string, person: string, reason: string) =>
      recorded('approval.deny', id, person, () =>
        storage.transaction(async (transaction) => {
          const { row, asked } = await read(transaction, id);
          if (person !== OPERATOR) requireDenier(personOf(person), asked);
          requireState(row, ['pending', 'approved'], clock);
          const denied = await transaction
            .updateTable('approvals')
            .set({
              state: 'denied',
              decided_at: clock.now(),
              decided_by: person,
              reason: reason.slice(0, REASON_CHARS) || null,
            })
            .where('id', '=', id)
            .where('state', 'in', ['pending', 'approved'])
            .returningAll()
            .executeTakeFirst();
          if (!denied) throw notOpen(row, clock);
          await recordMove(transaction, denied, 'approval.deny', actor(person), {
            ...(denied.reason !== null && { detail: denied.reason }),
          });
          return denied;
        }),
      ),
  };
}

export function inconsistent(): GatehouseError {
  return new GatehouseError(
    'internal',
    'approval.inconsistent',
    'This approval was changed in the database after it was asked for or signed. Nothing can run on it; tell your security team.',
  );
}

async function rowOf(database: Database | DatabaseTransaction, id: string): Promise<ApprovalRow | undefined> {
  return database.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
}

async function read(database: Database | DatabaseTransaction, id: string) {
  const row = await rowOf(database, id);
  if (!row) {
    throw new GatehouseError('not-found', 'approval.not-found', 'There is no such approval. Look in the inbox.');
  }
  const agent = await database
    .selectFrom('agents')
    .select(['owner', 'state', 'epoch'])
    .where('name', '=', row.agent)
    .executeTakeFirst();
  const { requestedBy, onBehalfOf, delegated } = toApproval(row, row.created_at);
  const asked: Asked = { owner: agent?.owner ?? '', requestedBy, onBehalfOf, user: delegated?.user ?? null };
  return { row, agent, asked };
}

type About = Pick<AdministrativeChange, 'action' | 'agent' | 'task' | 'tool' | 'environment' | 'approval'>;

function about(row: ApprovalRow): About {
  const { tool, environment } = toApproval(row, row.created_at);
  return { action: row.action_id, agent: row.agent, task: row.task, tool, environment, approval: row.id };
}

/** A person endorses what was held and shown to them, and nothing else. */
function requireHeld(row: ApprovalRow, endorse: readonly EndorsedValue[]): void {
  if (endorse.length === 0) return;
  const held = new Set(toApproval(row, row.created_at).origins.flatMap(({ held }) => held.map(keyOf)));
  const strange = endorse.find((each) => !held.has(keyOf(each)));
  if (strange)
    throw new GatehouseError(
      'bad-request',
      'approval.endorse',
      `"${strange.value.slice(0, 100)}" is not among the values that this call was held for, so that it can't be endorsed with it.`,
    );
}

const keyOf = ({ role, value, for: covers }: EndorsedValue) => JSON.stringify([role, value, covers]);

function requireState(row: ApprovalRow, states: string[], clock: Clock): void {
  if (!states.includes(row.state) || row.expires_at <= clock.now()) throw notOpen(row, clock);
}

function notOpen(row: ApprovalRow, clock: Clock): GatehouseError {
  const { state } = toApproval(row, clock.now());
  if (state === 'expired') {
    return new GatehouseError(
      'gone',
      'approval.expired',
      'This approval has run out. If the action is still wanted, the agent has to ask again.',
      { extra: { state } },
    );
  }
  return new GatehouseError(
    'conflict',
    'approval.decided',
    `This approval is ${state} already; it can't be decided again.`,
    { extra: { state } },
  );
}
