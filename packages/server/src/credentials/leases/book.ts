import { type Clock, isJsonObject, type Json, newId, parseStrictJson } from '../../platform/index.ts';
import {
  type DatabaseTransaction,
  lackedKey,
  rowSealProblem,
  type Sealer,
  type Storage,
  sealRow,
} from '../../storage/index.ts';

/** Where in the record it says that a lease was issued. */
export interface Place {
  log: string;
  sequence: number;
}

/** What the record says is out. */
export interface Book {
  /** By log: how many of its records were looked through. */
  read: Map<string, number>;
  /** What was issued and is not known to be over; null where its record was not come by yet. */
  open: Map<string, Place | null>;
  /** Every log was looked through to its end once. */
  isWhole: boolean;
  /** Leases with smaller ids are those of the workspace that this one was restored from; '' where it was not. */
  leftBelow: string;
  /** When what was left to that workspace was taken over. */
  takenOverAt: number;
  /** When this one was restored. */
  restoredAt: number;
}

const ID = 'open';

const empty = (): Book => ({
  ...{ read: new Map(), open: new Map(), isWhole: false },
  ...{ leftBelow: '', takenOverAt: 0, restoredAt: 0 },
});

/** Whether the workspace that this one was restored from ends it. */
export const isLeft = ({ leftBelow, takenOverAt, restoredAt }: Book, lease: string): boolean =>
  lease < leftBelow && takenOverAt <= restoredAt;

/** A restored workspace leaves what its copy has out to the original. `newest`: the id of the last lease in it, where it is known. */
export function restored(book: Book, at: number, newest = ''): void {
  if (at <= book.restoredAt) return;
  book.restoredAt = at;
  const [last = ''] = [...book.open.keys(), newest, newId('lse', at)].toSorted().toReversed();
  book.leftBelow = `${last}~`;
}

export type Books = ReturnType<typeof createBooks>;

/**
 * Kept sealed, so that who can write to the database moves nothing ahead and takes nothing out. What is put back as it once was has records looked
 * through again, and nothing else; a replica that knows a newer one goes on with that.
 */
export function createBooks({ storage, sealer, clock }: { storage: Storage; sealer: Sealer; clock: Clock }) {
  let newest: Book | undefined;
  /** As it was read whole. */
  let body: string | undefined;

  return {
    /** `lacked`: it is sealed with this key, which this replica does not hold. */
    async read(): Promise<{ book: Book; was: Uint8Array | null; problem: string | null; lacked?: string | undefined }> {
      body = undefined;
      const row = await storage.db.selectFrom('lease_books').selectAll().where('id', '=', ID).executeTakeFirst();
      if (!row) return { book: newest ?? empty(), was: null, problem: newest ? 'it was removed' : null };
      const { book, problem } = opened(sealer, row);
      if (!book)
        return {
          ...{ book: newest ?? empty(), was: row.seal, problem },
          lacked: await storage.transaction((transaction) =>
            lackedKey(storage, transaction, sealer, clock.now(), row.seal),
          ),
        };
      const isOlder = [...(newest?.read ?? [])].some(([log, read]) => (book.read.get(log) ?? 0) < read);
      if (isOlder && newest) return { book: newest, was: row.seal, problem: 'it was put back to what it was before' };
      newest = copyOf(book);
      body = row.body;
      return { book, was: row.seal, problem: null };
    },

    /** Unless another replica has written it meanwhile, or nothing is new in it. */
    async write(book: Book, was: Uint8Array | null): Promise<void> {
      if (JSON.stringify(toJson(book)) === body) return;
      const isWritten = await storage.transaction((transaction) => write(sealer, transaction, book, was));
      if (isWritten) newest = copyOf(book);
    },
  };
}

/** As a workspace is restored. */
export async function leaveToOriginal(sealer: Sealer, transaction: DatabaseTransaction, at: number): Promise<void> {
  const row = await transaction.selectFrom('lease_books').selectAll().where('id', '=', ID).executeTakeFirst();
  const book = (row && opened(sealer, row).book) ?? empty();
  const last = await transaction.selectFrom('leases').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  restored(book, at, last?.id);
  await write(sealer, transaction, book, row?.seal ?? null);
}

async function write(
  sealer: Sealer,
  transaction: DatabaseTransaction,
  book: Book,
  was: Uint8Array | null,
): Promise<boolean> {
  const json = toJson(book);
  const row = { body: JSON.stringify(json), seal: sealRow(sealer, 'lease_books', ID, json) };
  const written = was
    ? await transaction
        .updateTable('lease_books')
        .set(row)
        .where('id', '=', ID)
        .where('seal', '=', was)
        .returning('id')
        .executeTakeFirst()
    : await transaction
        .insertInto('lease_books')
        .values({ id: ID, ...row })
        .onConflict((conflict) => conflict.doNothing())
        .returning('id')
        .executeTakeFirst();
  return written !== undefined;
}

function opened(
  sealer: Sealer,
  { body, seal }: { body: string; seal: Uint8Array },
): { book?: Book; problem: string | null } {
  let json: Json;
  try {
    json = parseStrictJson(Buffer.from(body));
  } catch {
    return { problem: 'it can’t be read' };
  }
  const problem = rowSealProblem(sealer, 'lease_books', ID, json, seal);
  return problem === null && isJsonObject(json) ? { book: ofJson(json as unknown as Written), problem } : { problem };
}

interface Written {
  v: 1;
  logs: [log: string, read: number][];
  /** Of a log, by its place among the logs. */
  open: [lease: string, log?: number, sequence?: number][];
  isWhole: boolean;
  leftBelow: string;
  takenOverAt: number;
  restoredAt: number;
}

function toJson({ read, open, ...rest }: Book): Json {
  const numbers = new Map([...read.keys()].map((log, number) => [log, number]));
  const written: Written = {
    v: 1,
    logs: [...read],
    open: [...open].map(([lease, place]) => {
      const log = place ? numbers.get(place.log) : undefined;
      return place && log !== undefined ? [lease, log, place.sequence] : [lease];
    }),
    ...rest,
  };
  return written as unknown as Json;
}

function ofJson({ logs, open, isWhole, leftBelow, takenOverAt, restoredAt }: Written): Book {
  return {
    read: new Map(logs),
    open: new Map(
      open.map(([lease, at, sequence]) => {
        const log = at === undefined ? undefined : logs[at]?.[0];
        return [lease, log === undefined || sequence === undefined ? null : { log, sequence }];
      }),
    ),
    ...{ isWhole, leftBelow, takenOverAt, restoredAt },
  };
}

const copyOf = (book: Book): Book => ({ ...book, read: new Map(book.read), open: new Map(book.open) });
