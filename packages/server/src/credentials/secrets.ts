import { commandToPaste, originOf } from '@gatehouse/protocol';
import { type Clock, GatehouseError, Secret } from '../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../storage/index.ts';
import { type SecretUses, useOfSecret } from './secret-uses.ts';

export interface StoredSecret {
  name: string;
  /** The only origins that it may be sent to. */
  origins: string[];
  updatedAt: number;
  owner: string | null;
  rotateDays: number | null;
}

/** Who looks after it, and after how many days a new one is due; what is left out stays. */
export interface SecretCare {
  owner?: string | null | undefined;
  rotateDays?: number | null | undefined;
}

/**
 * Named secrets that Gatehouse uses toward others, sealed at rest. What goes in never comes out of the API again, and each is for
 * the destinations it was given with: a manifest that names it beside another address gets nothing.
 */
export interface Secrets {
  set(name: string, value: Secret, origins: string[], by: string, care?: SecretCare): Promise<StoredSecret>;
  list(): Promise<StoredSecret[]>;
  delete(name: string, by: string): Promise<void>;
  /** Throws `secret.unknown` and `secret.destination`. It counts as a use of it. */
  open(name: string, destination: string): Promise<Secret>;
  /** The same for whoever says by themselves what is a use: to look at whether a provider is well is none. */
  openUnused(name: string, destination: string): Promise<Secret>;
  /** Keeps a new one beside the one in use, until it is settled; one that is kept already, of whoever began and did not end, is given again. */
  prepare(name: string, next: Secret, by: string): Promise<Secret>;
  /** The one that is kept beside the one in use; throws what `open` throws. */
  pending(name: string, destination: string): Promise<Secret | null>;
  /** It is the one in use from now on. False where it is neither that already nor kept beside it: somebody has set another. */
  settle(name: string, next: Secret, by: string): Promise<boolean>;
}

/** What is sealed. The origins are in it: who edits the table cannot send it elsewhere. */
interface Kept {
  value: string;
  origins: string[];
  /** A new one that is being put in place. */
  next?: string;
}

const sealContext = (name: string) => `secret:${name}`;

interface Dependencies {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  /** Told of each use. */
  uses: Pick<SecretUses, 'note'>;
  clock: Clock;
}

export function createSecrets({ storage, sealer, recordChange, uses, clock }: Dependencies): Secrets {
  const read = async (name: string, destination = 'https://WHERE-IT-IS-SENT') => {
    const row = await storage.db.selectFrom('secrets').selectAll().where('name', '=', name).executeTakeFirst();
    if (row) return row;
    const command = commandToPaste`gatehouse secrets set ${name} --for ${destination}`;
    throw new GatehouseError(
      'not-found',
      'secret.unknown',
      `There is no secret "${name}". ${command ? `Store it with \`${command}\`` : 'Store it'}.`,
    );
  };

  /** Goes where it was to go and nowhere else; there it may be the one that works. */
  const pendingOf = (name: string, sealed: Uint8Array | undefined, origins: string[]) => {
    if (sealed === undefined) return {};
    const { next, origins: before } = openRow(name, sealed);
    return next !== undefined && before.join() === origins.join() ? { next } : {};
  };
  const openRow = (name: string, sealed: Uint8Array) =>
    JSON.parse(sealer.open(sealed, sealContext(name)).reveal()) as Kept;
  const seal = (name: string, kept: Kept) => sealer.seal(new Secret(JSON.stringify(kept)), sealContext(name));

  async function keptFor(name: string, destination: string): Promise<Kept> {
    const origin = originOf(destination);
    const kept = openRow(name, (await read(name, origin)).sealed);
    if (kept.origins.includes(origin)) return kept;
    throw new GatehouseError(
      'forbidden',
      'secret.destination',
      `The secret "${name}" is for ${kept.origins.join(', ')} and is not sent to ${origin}. If it belongs there, set it again with --for ${origin}.`,
    );
  }

  /** Changes what is kept; `change` gives null where there is nothing to change. */
  async function change(
    name: string,
    changed: (kept: Kept) => { kept: Kept; updatedAt?: number; operation: string; words: string } | null,
    by: string,
  ): Promise<void> {
    await storage.transaction(async (transaction) => {
      const { sealed } = await transaction
        .selectFrom('secrets')
        .select('sealed')
        .where('name', '=', name)
        .executeTakeFirstOrThrow();
      const done = changed(openRow(name, sealed));
      if (done === null) return;
      await transaction
        .updateTable('secrets')
        .set({
          sealed: seal(name, done.kept),
          ...(done.updatedAt !== undefined && { updated_at: done.updatedAt }),
        })
        .where('name', '=', name)
        .execute();
      await recordChange(transaction, { operation: done.operation, by, changes: [done.words] });
      await storage.announce(transaction, 'secret', name, clock.now());
    });
  }

  return {
    async set(name, value, origins, by, care = {}) {
      const allowed = [...new Set(origins)].sort();
      const updatedAt = clock.now();
      return storage.transaction(async (transaction) => {
        const before = await transaction
          .selectFrom('secrets')
          .select(['sealed', 'owner', 'rotate_days'])
          .where('name', '=', name)
          .executeTakeFirst();
        const owner = care.owner === undefined ? (before?.owner ?? null) : care.owner;
        const rotateDays = care.rotateDays === undefined ? (before?.rotate_days ?? null) : care.rotateDays;
        const row = {
          ...{
            sealed: seal(name, {
              ...pendingOf(name, before?.sealed, allowed),
              value: value.reveal(),
              origins: allowed,
            }),
          },
          ...{ origins: JSON.stringify(allowed), updated_at: updatedAt },
          ...{ owner, rotate_days: rotateDays },
        };
        await transaction
          .insertInto('secrets')
          .values({ name, ...row })
          .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
          .execute();
        await recordChange(transaction, {
          operation: 'secret.set',
          by,
          changes: [
            `secret ${name} ${before ? 'set anew' : 'set'}, for ${allowed.join(', ')}`,
            ...(owner === null ? [] : [`looked after by ${owner}`]),
            ...(rotateDays === null ? [] : [`a new one is due after ${rotateDays} days`]),
          ],
        });
        await storage.announce(transaction, 'secret', name, updatedAt);
        return { name, origins: allowed, updatedAt, owner, rotateDays };
      });
    },

    async list() {
      const rows = await storage.db
        .selectFrom('secrets')
        .select(['name', 'origins', 'updated_at', 'owner', 'rotate_days'])
        .orderBy('name')
        .execute();
      return rows.map(({ name, origins, updated_at, owner, rotate_days }) => ({
        name,
        origins: JSON.parse(origins) as string[],
        updatedAt: updated_at,
        owner,
        rotateDays: rotate_days,
      }));
    },

    async delete(name, by) {
      await read(name);
      await storage.transaction(async (transaction) => {
        await transaction.deleteFrom('secrets').where('name', '=', name).execute();
        await recordChange(transaction, { operation: 'secret.delete', by, changes: [`secret ${name} deleted`] });
        await storage.announce(transaction, 'secret', name, clock.now());
      });
    },

    async open(name, destination) {
      const { value } = await keptFor(name, destination);
      uses.note(useOfSecret(name));
      return new Secret(value);
    },

    async openUnused(name, destination) {
      return new Secret((await keptFor(name, destination)).value);
    },

    async prepare(name, next, by) {
      await read(name);
      let prepared = next;
      await change(
        name,
        (kept) => {
          prepared = new Secret(kept.next ?? next.reveal());
          if (kept.next !== undefined) return null;
          const words = `secret ${name}: a new one is kept, and is being put in place`;
          return { kept: { ...kept, next: next.reveal() }, operation: 'secret.rotate', words };
        },
        by,
      );
      return prepared;
    },

    async pending(name, destination) {
      const { next } = await keptFor(name, destination);
      return next === undefined ? null : new Secret(next);
    },

    async settle(name, next, by) {
      let isSettled = false;
      await change(
        name,
        ({ next: kept, ...rest }) => {
          isSettled = [rest.value, kept].includes(next.reveal());
          if (kept !== next.reveal()) return null;
          const words = `secret ${name}: the new one works, and is in use`;
          return {
            kept: { ...rest, value: kept },
            updatedAt: clock.now(),
            ...{ operation: 'secret.rotated', words },
          };
        },
        by,
      );
      return isSettled;
    },
  };
}
