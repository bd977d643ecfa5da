import type { Approval, Asking } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { undoOf } from '../registry/index.ts';
import type { Change } from '../storage/index.ts';
import { inconsistent } from './asked.ts';
import { createBreakGlass } from './break-glass/index.ts';
import { createDecisions } from './decide.ts';
import { createDeputies } from './deputies.ts';
import { readDeputies } from './deputyship.ts';
import { createGrants } from './grants/index.ts';
import { inspectApprovals } from './inspect.ts';
import { createLists } from './list.ts';
import { createListing } from './listing.ts';
import { createMemory } from './memory.ts';
import { openWithin } from './open.ts';
import { progressOf } from './progress.ts';
import { riskOf } from './risk.ts';
import { type ApprovalRow, subjectOf, type VoteRow } from './rows.ts';
import type { Circle, Deputyship } from './rule/circle.ts';
import { standingOf, whoMayApprove } from './rule/standing.ts';
import { sameAction } from './subject.ts';
import { createSweep } from './sweep.ts';
import type { ApprovalRequest, ApprovalSubject, Approvals, ApprovalsDependencies } from './types.ts';
import { rowProblem, votesOn } from './votes.ts';
import { namedFor, questionOf, rulesOf, stands } from './who-may.ts';

/** Rows per statement: bounded parameters on both databases. */
const CHUNK = 500;

export async function createApprovals(dependencies: ApprovalsDependencies): Promise<Approvals> {
  const { storage, registry, clock, log } = dependencies;
  const memory = createMemory(clock);
  const listing = createListing(dependencies);
  const { show, get } = listing;
  const breakGlass = createBreakGlass(dependencies);
  const grants = createGrants({ ...dependencies, isGivenBy });
  const decisions = createDecisions({ ...dependencies, grants });
  const { origin } = new URL(dependencies.publicUrl);
  let deputies: readonly Deputyship[] = [];

  const circle = (): Circle => ({ snapshot: dependencies.registry.snapshot(), deputies });
  const question = (approval: Approval) =>
    questionOf(approval, dependencies.registry.snapshot().agents.get(approval.agent)?.manifest.owner ?? '');
  const deciders = (approval: Approval) =>
    approval.state === 'pending'
      ? whoMayApprove(rulesOf(approval), approval.votes, question(approval), circle(), clock.now())
      : [];
  /** Whether one yes of this person, said then, still meets all that its rules ask for. */
  function isGivenBy(subject: Pick<ApprovalSubject, 'agent' | 'rules'>, person: string, at: number): boolean {
    const owner = dependencies.registry.snapshot().agents.get(subject.agent)?.manifest.owner ?? '';
    const alone = { owner, wants: () => false, policyAuthors: [], createdAt: at, escalatedSeconds: 0 };
    const yes = { person, answer: 'yes', at, number: 1 } as const;
    const rules = rulesOf({ rules: [...(subject.rules ?? [])] });
    return rules.every((rule) => standingOf(rule, [yes], alone, circle(), clock.now()).isMet);
  }
  const lists = createLists(dependencies, decisions);
  const sweep = createSweep({
    storage,
    clock,
    sealer: dependencies.sealer,
    people: dependencies.people,
    origin,
    recordMove: decisions.recordMove,
    tell: dependencies.tell,
    whoMayApprove: deciders,
    lapsed: () => memory.approved().filter((each) => !stands(each, question(each), circle())),
    pending: memory.pending,
  });

  /** How often the agent may ask, by its blueprint and the task's template. */
  function askingOf({ subject, template }: Pick<ApprovalRequest, 'subject' | 'template'>): (Asking | undefined)[] {
    const { agents, blueprints, templates } = dependencies.registry.snapshot();
    const blueprint = blueprints.get(agents.get(subject.agent)?.manifest.blueprint ?? '');
    return [blueprint?.asking, templates.get(template)?.asking];
  }

  /** A row that does not hold together was changed by hand, and nothing may run on it. */
  async function isIntact(row: ApprovalRow, votes: readonly VoteRow[]): Promise<boolean> {
    const problem = await rowProblem(row, votes, { ...dependencies, origin });
    if (problem !== null) {
      const what = 'an approval in the database is not what was asked or signed; it is not used';
      log.error(what, { approval: row.id, problem });
    }
    return problem === null;
  }

  async function remember(row: ApprovalRow, votes: readonly VoteRow[]): Promise<void> {
    const subject = (await isIntact(row, votes)) ? subjectOf(row) : null;
    if (subject) memory.put(show(row, votes), sameAction(subject));
    else memory.drop(row.id);
  }

  async function rememberAll(rows: readonly ApprovalRow[]): Promise<void> {
    for (let at = 0; at < rows.length; at += CHUNK) {
      const some = rows.slice(at, at + CHUNK);
      const votes = await votesOn(storage.db, some);
      for (const row of some) await remember(row, votes.get(row.id) ?? []);
    }
  }

  async function readAgain(ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += CHUNK) {
      const rows = await storage.db
        .selectFrom('approvals')
        .selectAll()
        .where('id', 'in', ids.slice(at, at + CHUNK))
        .execute();
      await rememberAll(rows);
    }
  }

  // One after the other: an earlier answer that arrives late must not bring back what is over, for which agents would then wait.
  let reading: Promise<unknown> = Promise.resolve();
  function inTurn(read: () => Promise<void>): Promise<void> {
    const turn = reading.then(read);
    reading = turn.catch(() => undefined);
    return turn;
  }
  const reload = (ids: readonly string[]) => inTurn(() => readAgain(ids));

  const loadDeputies = async () => {
    deputies = await readDeputies(storage.db, clock.now(), dependencies.sealer);
  };

  async function load(): Promise<void> {
    await loadDeputies();
    const rows = await storage.db
      .selectFrom('approvals')
      .selectAll()
      .where('state', 'in', ['pending', 'approved'])
      .where('expires_at', '>', clock.now())
      .execute();
    await rememberAll(rows);
    await grants.load();
    await breakGlass.load();
  }

  /** With what is known now of whether it can be undone: the row keeps it, as approvers are shown it. */
  function assessed(request: ApprovalRequest): ApprovalRequest {
    const snapshot = registry.snapshot();
    const undo = undoOf(snapshot, request.subject.tool);
    const isProduction = snapshot.environments.get(request.environment)?.production === true;
    return { ...request, undo, risk: riskOf(request, { undo, isProduction }) };
  }

  async function decide(work: Promise<{ row: ApprovalRow; votes: readonly VoteRow[] }>): Promise<Approval> {
    const { row, votes } = await work;
    await reload([row.id]);
    return show(row, votes);
  }

  await inTurn(load);
  return {
    breakGlass,
    grants,
    find(subject) {
      const found = memory.find(sameAction(subject));
      if (found?.state !== 'approved' || stands(found, question(found), circle())) return found;
      return { ...found, state: 'pending' };
    },
    deputies: createDeputies(dependencies),
    isOpenIn: memory.isOpenIn,
    get,
    signed: listing.signed,
    list: listing.list,
    countPending: listing.countPending,
    inspect: (ids) => inspectApprovals(storage.db, ids, { ...dependencies, origin }),
    whoMayApprove: deciders,
    namedFor: (approval) => [...namedFor(approval, question(approval), circle(), clock.now())].sort(),
    progress: (approval) => progressOf(approval, question(approval), circle(), clock.now()),

    rulesNamed(names = []) {
      const { approvalRules } = dependencies.registry.snapshot();
      return names.map((name) => {
        const rule = approvalRules.get(name);
        if (!rule)
          throw new GatehouseError(
            'internal',
            'approval.no-rule',
            `There is no ApprovalRule "${name}", so that nobody can approve this.`,
          );
        const { kind: _kind, description: _words, ...asked } = rule;
        return asked;
      });
    },

    peopleOf(of) {
      const said =
        'givenBy' in of ? [of.givenBy] : of.votes.filter(({ answer }) => answer === 'yes').map(({ person }) => person);
      const spokenFor = deputies.filter(({ deputy }) => said.includes(deputy)).map(({ person }) => person);
      return [...new Set([...said, ...spokenFor])];
    },

    async open(asked) {
      const request = assessed(asked);
      if (request.subject.policyVersion !== request.decision.policyVersion) {
        throw new GatehouseError(
          'internal',
          'approval.policy-version',
          'The action was decided by another version of the policy than it is bound to.',
        );
      }
      const row = await storage.transaction(async (transaction) => {
        const { row, isNew } = await openWithin(transaction, dependencies, request, askingOf(request));
        if (isNew) {
          await decisions.recordMove(transaction, row, 'approval.request', 'gatehouse');
          const asked = show(row, []);
          await dependencies.tell?.onAsked?.(transaction, asked, deciders(asked));
        }
        return row;
      });
      const votes = (await votesOn(storage.db, [row])).get(row.id) ?? [];
      if (!(await isIntact(row, votes))) throw inconsistent();
      await reload([row.id]);
      return show(row, votes);
    },

    async settled(id, signal) {
      const done = new AbortController();
      // Listening comes before looking, so that a decision between the two is not missed.
      const decided = memory.decided(id, AbortSignal.any([signal, done.signal]));
      try {
        const now = await get(id);
        if (!now) throw new GatehouseError('not-found', 'approval.not-found', `There is no approval ${id}.`);
        if (now.state !== 'pending') return now;
        return (await decided) ?? (await get(id)) ?? now;
      } finally {
        done.abort();
      }
    },

    approvalOptions: decisions.approvalOptions,
    listOptions: lists.listOptions,
    async approveList(list, person, assertion) {
      const given = await lists.approveList(list, person, assertion);
      return Promise.all(given.map((each) => decide(Promise.resolve(each))));
    },
    grantOptions: decisions.grantOptions,
    async approve(id, person, assertion, endorse, grant) {
      const approved = await decide(decisions.approve(id, person, assertion, endorse, grant));
      if (grant) await inTurn(grants.load);
      return approved;
    },
    deny: (...of) => decide(decisions.deny(...of)),
    approveThrough: (...of) => decide(decisions.approveThrough(...of)),

    async withdraw(id, by) {
      await storage.transaction(async (transaction) => {
        const row = await transaction
          .updateTable('approvals')
          .set({ state: 'cancelled', decided_at: clock.now(), decided_by: by, seal: null })
          .where('id', '=', id)
          .where('state', 'in', ['pending', 'approved'])
          .returningAll()
          .executeTakeFirst();
        if (row) await decisions.recordMove(transaction, row, 'approval.cancel', by);
      });
    },

    async cancelAll(transaction, { agent, task }, by) {
      if (agent === undefined && task === undefined) {
        throw new GatehouseError('internal', 'approval.cancel-what', 'Name the agent or the task to cancel.');
      }
      const now = clock.now();
      let query = transaction
        .updateTable('approvals')
        .set({ state: 'cancelled', decided_at: now, decided_by: by, seal: null })
        .where('state', 'in', ['pending', 'approved']);
      // What others do in tasks that this agent handed on ends with it.
      const handedOn = transaction
        .selectFrom('task_actors')
        .select('task_actors.task')
        .where('task_actors.agent', '=', agent ?? '');
      if (agent !== undefined)
        query = query.where((where) => where.or([where('agent', '=', agent), where('task', 'in', handedOn)]));
      if (task !== undefined) query = query.where('task', '=', task);
      const rows = await query.returningAll().execute();
      for (const row of rows) await decisions.recordMove(transaction, row, 'approval.cancel', by);
      const of = { ...(agent !== undefined && { agent }), ...(task !== undefined && { task }) };
      await grants.endAll(transaction, of, by);
      await breakGlass.endAll(transaction, of, by);
      return rows.length;
    },

    noteConsumed: memory.drop,

    async refresh(changes: Change[]) {
      const ids = changes.filter(({ topic }) => topic === 'approval').map(({ key }) => key);
      await inTurn(async () => {
        if (changes.some(({ topic }) => topic === 'deputy')) await loadDeputies();
        await readAgain([...new Set(ids)]);
        await grants.refresh(changes);
        await breakGlass.refresh(changes);
      });
    },

    async expire() {
      memory.purge();
      const { expired, others } = await sweep();
      await reload([...expired, ...others].map(({ id }) => id));
      await breakGlass.sweep();
      return expired.length;
    },
  };
}
