import { grantLimits, type Role } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError } from '../../platform/index.ts';
import type { AdministrativeChange, DatabaseTransaction } from '../../storage/index.ts';
import type { ApprovalSubject } from '../types.ts';
import { amountAt, covers, unitsOf } from './bounds.ts';
import { counterOf, type GrantRow, grantIdOf, type HeldGrant, kindOf, readGrant, sealedGrant } from './rows.ts';
import { createTerms } from './terms.ts';
import type { GrantDependencies, StandingGrants } from './types.ts';
import { createViews } from './views.ts';

/** What the counters of grants are counted as. */
const COUNTED_AS = 'gatehouse/granted';
const MAY_REVOKE: Role[] = ['approver', 'security', 'admin'];
const REASON_CHARS = 500;

export function createGrants(deps: GrantDependencies): StandingGrants {
  const { storage, registry, recordChange, clock, log, isGivenBy } = deps;
  const { origin } = new URL(deps.publicUrl);
  const { checked, termsFor } = createTerms(deps);
  const { show, get, list } = createViews(deps);
  const byTask = new Map<string, Map<string, HeldGrant>>();

  async function remember(row: GrantRow): Promise<void> {
    const held =
      row.ended_at === null && row.expires_at > clock.now() ? await readGrant(row, { ...deps, origin }) : undefined;
    if (held && 'problem' in held)
      log.error('a standing grant in the database is not what was signed; it covers nothing', {
        grant: row.id,
        problem: held.problem,
      });
    for (const [task, grants] of byTask) if (grants.delete(row.id) && grants.size === 0) byTask.delete(task);
    if (!held || 'problem' in held) return;
    const { task } = held.subject;
    byTask.set(task, (byTask.get(task) ?? new Map()).set(held.id, held));
  }

  /** To take back needs less than to give: it only narrows. */
  function requireRevoker(email: string, { agent, given_by }: GrantRow): void {
    const { people, agents } = registry.snapshot();
    const person = people.get(email);
    const may = [given_by, 'operator', agents.get(agent)?.manifest.owner].includes(email);
    if (may || person?.roles.some((role) => MAY_REVOKE.includes(role))) return;
    throw new GatehouseError(
      'forbidden',
      'grant.not-yours',
      "Only who gave it, the agent's owner, approvers, security and admins can revoke a standing grant.",
    );
  }

  async function recordEnd(
    transaction: DatabaseTransaction,
    row: GrantRow,
    operation: string,
    by: string,
  ): Promise<void> {
    await recordChange(transaction, {
      ...about(row),
      operation,
      by,
      changes: [`standing grant ${row.id} covers nothing any more`],
      ...(row.reason !== null && { detail: row.reason }),
    });
    await storage.bumpFences(transaction, [fenceOf(row.id)]);
    await storage.announce(transaction, 'approval', row.id, clock.now());
  }

  function about(row: GrantRow): Pick<AdministrativeChange, 'agent' | 'task' | 'tool' | 'approval'> {
    const { tool } = JSON.parse(row.subject) as ApprovalSubject;
    return { agent: row.agent, task: row.task, tool, approval: row.id };
  }

  return {
    async load() {
      const rows = await storage.db
        .selectFrom('standing_grants')
        .selectAll()
        .where('ended_at', 'is', null)
        .where('expires_at', '>', clock.now())
        .execute();
      for (const row of rows) await remember(row);
    },

    async refresh(changes) {
      const ids = [...new Set(changes.map(({ key }) => key).filter((key) => key.startsWith('grn_')))];
      if (ids.length === 0) return;
      const rows = await storage.db.selectFrom('standing_grants').selectAll().where('id', 'in', ids).execute();
      for (const row of rows) await remember(row);
    },

    find({ subject, decision, except }) {
      const grants = byTask.get(subject.task);
      const { grantable } = decision;
      if (!grants || !grantable || decision.effect !== 'needs-approval') return undefined;
      // What may have run already is looked at by a person each time.
      if (subject.repeats !== undefined) return undefined;
      const now = clock.now();
      const kind = kindOf(subject);
      for (const grant of grants.values()) {
        const { terms } = grant;
        if (terms.until <= now) grants.delete(grant.id);
        if (terms.until <= now || except.has(grant.id) || grant.kind !== kind) continue;
        if (terms.calls > grantable.calls || terms.until - terms.from > grantable.seconds * 1_000) continue;
        if (!isGivenBy(grant.subject, grant.givenBy, terms.from)) continue;
        if (covers(grant.subject.arguments, terms, subject.arguments)) return grant;
      }
      if (grants.size === 0) byTask.delete(subject.task);
      return undefined;
    },

    spend({ id, terms, subject }, args) {
      const { sum } = terms;
      return {
        counter: counterOf(id),
        budget: COUNTED_AS,
        label: subject.tool.slice(0, 200),
        // One window for its whole life: nothing starts it again.
        window: { start: 1, end: terms.until },
        amounts: { count: 1, items: 0, sum: sum ? (amountAt(args, sum.at) ?? Number.MAX_SAFE_INTEGER) : 0 },
        limits: { count: terms.calls, items: null, sum: sum ? unitsOf(sum.max) : null, concurrent: null },
        evenOver: false,
        leaseUntil: clock.now(),
      };
    },

    async give(transaction, { approval, terms, evidence, ...of }) {
      checked(of, terms);
      const { subject, digest, person } = of;
      const now = clock.now();
      const inForce = await transaction
        .selectFrom('standing_grants')
        .select('id')
        .where('task', '=', subject.task)
        .where('ended_at', 'is', null)
        .where('expires_at', '>', now)
        .execute();
      if (inForce.length >= grantLimits.perTask)
        throw new GatehouseError(
          'too-many',
          'grant.too-many',
          `${grantLimits.perTask} grants are in force for this task already. Revoke one, or approve this call alone.`,
        );
      const id = grantIdOf(approval);
      const row: GrantRow = {
        id,
        approval,
        agent: subject.agent,
        task: subject.task,
        digest,
        subject: canonicalJson(subject),
        terms: canonicalJson(terms),
        given_by: person,
        assertion: canonicalJson(evidence),
        expires_at: terms.until,
        ended_at: null,
        ended_by: null,
        reason: null,
        seal: null,
        erasure: null,
      };
      await transaction.insertInto('standing_grants').values(sealedGrant(row, deps.sealer)).execute();
      await recordChange(transaction, {
        ...about(row),
        operation: 'grant.give',
        by: `person:${person}`,
        changes: [
          `standing grant ${id}: ${terms.calls} more calls of ${subject.tool} until ${new Date(terms.until).toISOString()}`,
          ...terms.bounds.map((bound) => `bound ${JSON.stringify(bound).slice(0, 500)}`),
          ...(terms.sum ? [`sum of ${terms.sum.at.join('.')} at most ${terms.sum.max}`] : []),
        ],
      });
      await storage.announce(transaction, 'approval', id, now);
      return [`granted ${id}`];
    },

    get,
    list,
    termsFor,

    async revoke(id, person, reason) {
      const row = await storage.transaction(async (transaction) => {
        const found = await transaction
          .selectFrom('standing_grants')
          .selectAll()
          .where('id', '=', id)
          .executeTakeFirst();
        if (!found) throw unknown(id);
        requireRevoker(person, found);
        const ended = await transaction
          .updateTable('standing_grants')
          .set({ ended_at: clock.now(), ended_by: person, reason: reason.slice(0, REASON_CHARS) || null, seal: null })
          .where('id', '=', id)
          .where('ended_at', 'is', null)
          .returningAll()
          .executeTakeFirst();
        if (!ended) return found;
        await recordEnd(transaction, ended, 'grant.revoke', person === 'operator' ? person : `person:${person}`);
        return ended;
      });
      await remember(row);
      const [shown] = await show([row]);
      if (!shown) throw unknown(id);
      return shown;
    },

    async endAll(transaction, { agent, task }, by) {
      let query = transaction
        .updateTable('standing_grants')
        .set({
          ended_at: clock.now(),
          ended_by: 'gatehouse',
          seal: null,
          reason: `ended with its ${task === undefined ? 'agent' : 'task'}`,
        })
        .where('ended_at', 'is', null)
        .where('expires_at', '>', clock.now());
      const handedOn = transaction
        .selectFrom('task_actors')
        .select('task_actors.task')
        .where('task_actors.agent', '=', agent ?? '');
      if (agent !== undefined)
        query = query.where((where) => where.or([where('agent', '=', agent), where('task', 'in', handedOn)]));
      if (task !== undefined) query = query.where('task', '=', task);
      const rows = await query.returningAll().execute();
      for (const row of rows) await recordEnd(transaction, row, 'grant.end', by);
      return rows.length;
    },
  };
}

export const fenceOf = (grant: string): string => `grant:${grant}`;

const unknown = (id: string) =>
  new GatehouseError(
    'not-found',
    'grant.unknown',
    `There is no standing grant "${id}". \`gatehouse grants\` lists them.`,
  );
