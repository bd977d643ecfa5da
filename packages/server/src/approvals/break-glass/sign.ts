import { canonicalJson, digestJson, GatehouseError } from '../../platform/index.ts';
import type { DatabaseTransaction, Storage } from '../../storage/index.ts';
import { signedOf } from '../signed.ts';
import { names } from '../who-may.ts';
import type { Moves } from './moves.ts';
import {
  type BreakGlassRow,
  challengeOf,
  digestOf,
  MAY_SIGN,
  sealedBreakGlass,
  sealProblem,
  stateOf,
  subjectIn,
} from './rows.ts';
import type { BreakGlassDependencies, BreakGlasses } from './types.ts';

const SIGNED_WITHIN_MS = 5 * 60_000;

/** Two people sign, one after the other; with the second it is open. */
export function createSigning({
  storage,
  registry,
  people,
  sealer,
  clock,
  rowOf,
  moved,
  settingsOf,
}: Pick<BreakGlassDependencies, 'storage' | 'registry' | 'people' | 'sealer' | 'clock'> & Moves) {
  /** Everything that must hold for a signature but the passkey; who signs first, if that is not this person. */
  async function examine(database: Storage['db'] | DatabaseTransaction, id: string, person: string) {
    const row = await rowOf(id, database);
    const subject = subjectIn(row);
    const refuse = (code: string, words: string) => new GatehouseError('forbidden', code, words);
    const signer = registry.snapshot().people.get(person);
    if (!signer?.roles.some((role) => MAY_SIGN.includes(role)))
      throw refuse('break-glass.not-signer', 'Approvers, security and admins sign this. Ask two of them.');
    const task = await database.selectFrom('tasks').selectAll().where('id', '=', row.task).executeTakeFirst();
    const wants = (email: string) =>
      [subject.requestedBy, task?.requested_by, task?.on_behalf_of, task?.user_email].some((each) =>
        names(each ?? null, email),
      );
    if (wants(person))
      throw refuse(
        'break-glass.requester',
        'You have asked for this, or the task is yours, so that two others sign it.',
      );
    if (row.first_by === person)
      throw refuse('break-glass.same-person', 'You have signed this. A second person has to.');
    const state = stateOf(row, clock.now());
    if (state !== 'asked' && state !== 'signed')
      throw new GatehouseError(
        'conflict',
        'break-glass.decided',
        `This is ${state}; it can't be signed. Ask again if it is still needed.`,
      );
    if (task) settingsOf(task.environment);
    const agent = await database.selectFrom('agents').selectAll().where('name', '=', row.agent).executeTakeFirst();
    if (
      agent?.state !== 'active' ||
      agent.epoch !== subject.agentEpoch ||
      task?.state !== 'active' ||
      task.suspended !== null
    )
      throw new GatehouseError(
        'conflict',
        'break-glass.stopped',
        'The agent or its task has been stopped since this was asked for.',
      );
    if (digestOf(subject) !== row.digest || sealProblem(row, sealer) !== null)
      throw new GatehouseError('internal', 'break-glass.inconsistent', 'This was changed in the database.');
    return { row, subject, wants };
  }

  const options: BreakGlasses['options'] = async (id, person) => {
    const { row, subject } = await examine(storage.db, id, person);
    const until = row.first_by === null ? null : clock.now() + subject.seconds * 1_000;
    const second = row.first_by !== null && until !== null ? { first: row.first_by, until } : undefined;
    return { options: await people.assertionOptions(person, challengeOf(subject, second)), until };
  };

  async function sign(...[id, person, assertion, until]: Parameters<BreakGlasses['sign']>): Promise<BreakGlassRow> {
    const shown = await examine(storage.db, id, person);
    const first = shown.row.first_by;
    const now = clock.now();
    const isSecond = first !== null && until !== null;
    if ((first === null) !== (until === null))
      throw new GatehouseError(
        'conflict',
        'break-glass.decided',
        'Somebody has signed this meanwhile. Look at it again.',
      );
    const lasts = (until ?? 0) - shown.subject.seconds * 1_000;
    if (isSecond && (lasts > now || lasts < now - SIGNED_WITHIN_MS || until <= now))
      throw new GatehouseError(
        'bad-request',
        'break-glass.times',
        'This is not for the time that was asked for. Start again.',
      );
    const challenge = challengeOf(shown.subject, isSecond ? { first, until } : undefined);
    const verified = await people.verifyAssertion(person, challenge, assertion);
    return storage.transaction(async (transaction) => {
      const { row, wants } = await examine(transaction, id, person);
      if (row.first_by !== first)
        throw new GatehouseError('conflict', 'break-glass.decided', 'Somebody has signed this meanwhile.');
      await people.useAssertion(transaction, verified);
      await people.requireSecondPerson(transaction, {
        person,
        passkey: verified.passkey,
        wants: (email) => wants(email) || email === first,
      });
      const kept = canonicalJson(signedOf(verified));
      const update = isSecond
        ? { second_by: person, second_assertion: kept, until }
        : { first_by: person, first_assertion: kept };
      const after = await transaction
        .updateTable('break_glass')
        .set({ ...update, seal: sealedBreakGlass({ ...row, ...update }, sealer).seal })
        .where('id', '=', id)
        .where(isSecond ? 'second_by' : 'first_by', 'is', null)
        .where('ended_at', 'is', null)
        .returningAll()
        .executeTakeFirst();
      if (!after) throw new GatehouseError('conflict', 'break-glass.decided', 'Somebody has signed this meanwhile.');
      const opens = isSecond ? [`open until ${new Date(until).toISOString()}, by ${first} and ${person}`] : [];
      await moved(transaction, after, isSecond ? 'open' : 'sign', `person:${person}`, [
        `assertion ${digestJson(signedOf(verified))}`,
        ...opens,
      ]);
      return after;
    });
  }

  return { options, sign };
}
