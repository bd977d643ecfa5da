import type { AgentManifest, PersonManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { readAgent } from './agents.ts';
import { columnsOf } from './apply.ts';
import { type Context, emptyChangeSet, flush, lines, raise } from './context.ts';
import { rememberDeciders } from './deciders.ts';
import { thumbprint } from './keys.ts';
import type { StoredPerson } from './known-people.ts';
import { keepAnAdmin, wasAdmin } from './last-admin.ts';
import { fromObjectRow, type PersonStanding, type Provision, toObjectBody } from './objects.ts';
import { agentManifestOf } from './plan.ts';
import { endTasksOf } from './task-rows.ts';

/**
 * What directories, sign-in and departures do to people, each part of a transaction of the caller's, recorded in it. A snapshot shows
 * it after the commit and `refresh([])`.
 */
export interface PersonChanges {
  /** Makes the person known, or tells more of one who is. Brings nobody back who has left. False when nothing was new. */
  provisionPerson(transaction: DatabaseTransaction, email: string, provision: Provision, by: string): Promise<boolean>;
  /** The directory names them no longer. Whom no manifest declares either stays known by name only, as departed. */
  unprovisionPerson(transaction: DatabaseTransaction, email: string, by: string): Promise<void>;
  /** False when there was nobody, or they had left already. */
  departPerson(
    transaction: DatabaseTransaction,
    email: string,
    departure: { by: string; successor: string | null; keepKeys?: boolean; reason?: string },
  ): Promise<boolean>;
  /** Whether they are known and have not left, as the transaction sees it. */
  isHere(transaction: DatabaseTransaction, email: string): Promise<boolean>;
  /** Nothing where they had not left; where they were offboarded here, a directory (`scim/…`) does not bring them back. */
  reinstatePerson(transaction: DatabaseTransaction, email: string, by: string): Promise<void>;
  /** The agent goes to another owner; its tasks and pending approvals stay, and with `keepKeys` its keys and tokens. Gives how many keys are dropped. */
  handOverAgent(
    transaction: DatabaseTransaction,
    agent: string,
    to: { owner: string; keepKeys: boolean; by: string },
  ): Promise<number>;
  /** All keys go, and every token of before with them: somebody may have copies. Gives how many. */
  dropAgentKeys(transaction: DatabaseTransaction, agent: string, by: string): Promise<number>;
}

const isDirectory = (by: string) => by.startsWith('scim/');

const declaredOnly: PersonStanding = { declared: true, provision: null, departed: null };

export function createPersonChanges(context: Context): PersonChanges {
  async function read(transaction: DatabaseTransaction, email: string) {
    const row = await transaction
      .selectFrom('objects')
      .select('body')
      .where('kind', '=', 'Person')
      .where('name', '=', email)
      .executeTakeFirst();
    if (!row) return undefined;
    const { manifest, person, appliedBy } = fromObjectRow(row);
    return { manifest: manifest as PersonManifest, standing: person ?? declaredOnly, appliedBy };
  }

  async function write(
    transaction: DatabaseTransaction,
    { manifest, person }: Required<StoredPerson>,
    appliedBy: string,
    record: { operation: string; by: string; changes: string[]; detail?: string },
  ): Promise<void> {
    const before = await read(transaction, manifest.email);
    const had = before !== undefined && (await wasAdmin(transaction, { ...before, person: before.standing }));
    const changes = emptyChangeSet();
    const now = context.clock.now();
    await rememberDeciders(transaction, now, manifest.email);
    const body = toObjectBody({ manifest, appliedBy, person });
    await transaction
      .insertInto('objects')
      .values({ kind: 'Person', name: manifest.email, body, updated_at: now })
      .onConflict((conflict) => conflict.columns(['kind', 'name']).doUpdateSet({ body, updated_at: now }))
      .execute();
    raise(changes, `person:${manifest.email}`);
    if (person.departed) await endTasksOf(transaction, { user: manifest.email }, 'ended', now, changes);
    changes.records.push({ ...record, changes: lines(record.changes) });
    await flush(context, transaction, changes);
    await keepAnAdmin(context, transaction, {
      had,
      by: record.by,
      stands: record.by !== 'operator' && !record.by.startsWith('person:'),
    });
  }

  return {
    async provisionPerson(transaction, email, provision, by) {
      const known = await read(transaction, email);
      const before = known?.standing.provision ?? null;
      if (known && JSON.stringify(before) === JSON.stringify(provision)) return false;
      const standing = known?.standing ?? { ...declaredOnly, declared: false };
      const manifest: PersonManifest = standing.declared
        ? (known as NonNullable<typeof known>).manifest
        : { kind: 'Person', email, displayName: provision.displayName, roles: [] };
      await write(transaction, { manifest, person: { ...standing, provision } }, known?.appliedBy ?? by, {
        operation: 'person.provision',
        by,
        changes: [
          `${email} ${known ? 'changed' : 'made known'} by ${provision.by}`,
          ...changesOf(before, provision),
          ...(standing.declared ? ['roles stay those of the manifest'] : []),
        ],
      });
      return true;
    },

    async unprovisionPerson(transaction, email, by) {
      const known = await read(transaction, email);
      if (!known?.standing.provision) return;
      const person = { ...known.standing, provision: null };
      await write(transaction, { manifest: known.manifest, person }, known.appliedBy, {
        operation: 'person.unprovision',
        by,
        changes: [`${email} is no longer in the directory`],
      });
    },

    async departPerson(transaction, email, { by, successor, keepKeys = false, reason }) {
      const known = await read(transaction, email);
      if (!known || known.standing.departed) return false;
      const departed = { at: context.clock.now(), by, successor, keepKeys };
      await write(transaction, { manifest: known.manifest, person: { ...known.standing, departed } }, known.appliedBy, {
        operation: 'person.depart',
        by,
        changes: [
          `${email} has left`,
          successor === null ? 'no successor' : `successor: ${successor}`,
          `keys of their agents ${keepKeys ? 'kept' : 'dropped'}`,
        ],
        ...(reason && { detail: reason }),
      });
      return true;
    },

    async isHere(transaction, email) {
      const known = await read(transaction, email);
      return known !== undefined && !known.standing.departed;
    },

    async reinstatePerson(transaction, email, by) {
      const known = await read(transaction, email);
      if (!known)
        throw new GatehouseError('not-found', 'person.not-found', `There is no person ${email.slice(0, 254)}.`);
      const { departed } = known.standing;
      // A directory says every day who is there: what was decided here is taken back here, or the next of its changes would undo it.
      if (!departed || (isDirectory(by) && !isDirectory(departed.by))) return;
      const person = { ...known.standing, departed: null };
      await write(transaction, { manifest: known.manifest, person }, known.appliedBy, {
        operation: 'person.reinstate',
        by,
        changes: [`${email} is back; nothing else is: passkeys, sessions and agents as they were left`],
      });
    },

    handOverAgent: (transaction, name, { owner, keepKeys, by }) =>
      changeAgent(transaction, name, (row, { keys }) => ({
        manifest: { owner, ...(!keepKeys && { keys: [] }) },
        record: {
          operation: 'agent.hand-over',
          by,
          changes: [`owner: ${row.owner} → ${owner}`, ...keyLines(keys, keepKeys)],
        },
      })),

    dropAgentKeys: (transaction, name, by) =>
      changeAgent(transaction, name, (_row, { keys }) => ({
        manifest: { keys: [] },
        record: keys.length > 0 && { operation: 'agent.remove-key', by, changes: keyLines(keys, false) },
      })),
  };

  async function changeAgent(
    transaction: DatabaseTransaction,
    name: string,
    change: (
      row: Tables['agents'],
      before: AgentManifest,
    ) => {
      manifest: Partial<AgentManifest>;
      record: { operation: string; by: string; changes: string[] } | false;
    },
  ): Promise<number> {
    const changes = emptyChangeSet();
    const row = await readAgent(transaction, name);
    const before = agentManifestOf(row);
    const { manifest, record } = change(row, before);
    await transaction
      .updateTable('agents')
      .set({
        ...columnsOf({ ...before, ...manifest }, context.clock.now()),
        epoch: row.epoch + (manifest.keys ? 1 : 0),
      })
      .where('name', '=', name)
      .execute();
    raise(changes, `agent:${name}`);
    if (record) changes.records.push({ ...record, agent: name, environment: row.environment });
    await flush(context, transaction, changes);
    return manifest.keys ? before.keys.length : 0;
  }
}

const keyLines = (keys: AgentManifest['keys'], kept: boolean): string[] =>
  keys.length === 0
    ? ['it has no keys']
    : keys.map((key) => `key ${thumbprint(key)} ${kept ? 'kept' : 'dropped, with all tokens of before'}`);

function changesOf(before: Provision | null, after: Provision): string[] {
  const said = before ?? { displayName: '', groups: [], roles: [], successor: null };
  const all: string[] = [];
  if (said.displayName !== after.displayName) all.push(`name: ${after.displayName}`);
  if (said.groups.join() !== after.groups.join()) all.push(`groups: ${after.groups.join(', ') || 'none'}`);
  if (said.roles.join() !== after.roles.join()) all.push(`roles: ${after.roles.join(', ') || 'none'}`);
  if (said.successor !== after.successor) all.push(`successor: ${after.successor ?? 'none'}`);
  return all;
}
