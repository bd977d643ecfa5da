import { setImmediate as turn } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Book, createBooks, isLeft } from './book.ts';
import { createUncovering, isOver, type UncoveringDependencies } from './hidden.ts';
import { leaseLimits } from './limits.ts';
import type { LeaseRow } from './rows.ts';
import { walk } from './walk.ts';

/**
 * Compares the rows with the record: what was issued and is not over has a row by which it is ended. The record says what was issued; that one is over
 * is sealed in its row, so that no record has to be waited for. Every replica does, with one book.
 */
export function createComparing(deps: UncoveringDependencies & { wake(): void }) {
  const { storage, recordChange, log, wake } = deps;
  const uncovering = createUncovering(deps);
  const books = createBooks(deps);

  async function openIds(): Promise<string[]> {
    const rows = await storage.db
      .selectFrom('leases')
      .select('id')
      // As the index of what is due has it.
      .where(sql<boolean>`state not in ('revoked', 'dropped')`)
      .execute();
    return rows.map(({ id }) => id);
  }

  async function rowsOf(ids: readonly string[]): Promise<Map<string, LeaseRow>> {
    const rows = await storage.db.selectFrom('leases').selectAll().where('id', 'in', ids).execute();
    return new Map(rows.map((row) => [row.id, row]));
  }

  async function alarm(changes: string[]): Promise<void> {
    if (changes.length === 0) return;
    log.error('ALARM: what says which credentials are out was changed in the database', { changes });
    await storage.transaction((transaction) =>
      recordChange(transaction, { operation: 'seal.broken', by: 'gatehouse', changes }),
    );
  }

  /** Gives how many were hidden. */
  async function judge(book: Book): Promise<number> {
    for (const id of await openIds()) if (!book.open.has(id)) book.open.set(id, null);
    const all = [...new Set([...book.open.keys(), ...uncovering.keptIds()])];
    let hidden = 0;
    for (let at = 0; at < all.length; at += leaseLimits.dueAtOnce) {
      const some = all.slice(at, at + leaseLimits.dueAtOnce);
      const rows = await rowsOf(some);
      for (const id of some) if (await look(book, id, rows.get(id))) hidden++;
      // Opening what is sealed takes the thread.
      await turn();
    }
    return hidden;
  }

  /** Whether it was hidden. */
  async function look(book: Book, id: string, row: LeaseRow | undefined): Promise<boolean> {
    if (uncovering.problemOf(id, row) !== null) {
      // In a restored workspace that has not read on so far it is not known yet whose it is.
      if (!uncovering.isKept(id) && (!book.isWhole || isLeft(book, id))) return false;
      await uncovering.uncover(id, book.open.get(id) ?? null);
      return true;
    }
    if (row && isOver(row.state)) {
      book.open.delete(id);
      uncovering.forget(id);
    }
    return false;
  }

  return {
    keep: uncovering.keep,
    /** Records first: what they say was issued has been written with them. */
    async compare(): Promise<void> {
      const { book, was, problem } = await books.read();
      const { problems, isAtEnd } = await walk(storage, book);
      if (isAtEnd) book.isWhole = true;
      await alarm([
        ...(problem === null
          ? []
          : [`the list of what is issued and not over was changed in the database (${problem})`]),
        ...problems,
      ]);
      const hidden = await judge(book);
      await books.write(book, was);
      if (hidden > 0) wake();
    },
  };
}

export type Comparing = ReturnType<typeof createComparing>;
