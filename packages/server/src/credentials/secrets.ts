import { originOf } from '@gatehouse/protocol';
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
  /** Throws `secret.unknown` and `secret.destination`. */
  open(name: string, destination: string): Promise<Secret>;
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
    throw new GatehouseError(
      'not-found',
      'secret.unknown',
      `There is no secret "${name}". Store it with \`gatehouse secrets set ${name} --for ${destination}\`.`,
    );
  };

  return {
    async set(name, value, origins, by, care = {}) {
      const allowed = [...new Set(origins)].sort();
      const updatedAt = clock.now();
      // The origins are sealed with it: who edits the table cannot send it elsewhere.
      const text = JSON.stringify({ value: value.reveal(), origins: allowed });
      const sealed = sealer.seal(new Secret(text), sealContext(name));
      return storage.transaction(async (transaction) => {
        const before = await transaction
          .selectFrom('secrets')
          .select(['owner', 'rotate_days'])
          .where('name', '=', name)
          .executeTakeFirst();
        const owner = care.owner === undefined ? (before?.owner ?? null) : care.owner;
        const rotateDays = care.rotateDays === undefined ? (before?.rotate_days ?? null) : care.rotateDays;
        const row = {
          ...{ sealed, origins: JSON.stringify(allowed), updated_at: updatedAt },
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
      const origin = originOf(destination);
      const { sealed } = await read(name, origin);
      const { value, origins } = JSON.parse(sealer.open(sealed, sealContext(name)).reveal()) as {
        value: string;
        origins: string[];
      };
      if (origins.includes(origin)) {
        uses.note(useOfSecret(name));
        return new Secret(value);
      }
      throw new GatehouseError(
        'forbidden',
        'secret.destination',
        `The secret "${name}" is for ${origins.join(', ')} and is not sent to ${origin}. If it belongs there, set it again with --for ${origin}.`,
      );
    },
  };
}
