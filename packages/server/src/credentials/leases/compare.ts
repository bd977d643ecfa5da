import { setImmediate as turn } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Book, createBooks, isLeft } from './book.ts';
import { createUncovering, isOver, type Uncovered, type UncoveringDependencies } from './hidden.ts';
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

  // As the index of what is due has it.
  const open = () => storage.db.selectFrom('leases').where(sql<boolean>`state not in ('revoked', 'dropped')`);

  /** In the order of that index; one that is moved meanwhile may be missed until the next look. */
  async function* openIds(): AsyncGenerator<string> {
    for (const { id } of await open().select('id').where('next_try_at', 'is', null).execute()) yield id;
    let last: Pick<LeaseRow, 'id' | 'next_try_at'> | undefined;
    for (let more = true; more; await turn()) {
      const { id = '', next_try_at: at = null } = last ?? {};
      const rows = await open()
        .select(['id', 'next_try_at'])
        .where('next_try_at', 'is not', null)
        .$if(last !== undefined, (query) => query.where(sql<boolean>`(next_try_at, id) > (${at}, ${id})`))
        .orderBy('next_try_at')
        .orderBy('id')
        .limit(leaseLimits.idsAtOnce)
        .execute();
      for (const { id } of rows) yield id;
      last = rows.at(-1) ?? last;
      more = rows.length === leaseLimits.idsAtOnce;
    }
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

  /** Who holds it goes on; this replica is about to stop. */
  const warn = (key: string) =>
    log.warn('credentials are not compared with the record: this server does not have the key they are sealed with', {
      key,
    });

  /** Gives how many were hidden, and the key that it lacks for more. */
  async function judge(book: Book): Promise<{ hidden: number; lacked?: string }> {
    for await (const id of openIds()) if (!book.open.has(id)) book.open.set(id, null);
    const all = [...new Set([...book.open.keys(), ...uncovering.keptIds()])];
    let hidden = 0;
    for (let at = 0; at < all.length; at += leaseLimits.dueAtOnce) {
      const some = all.slice(at, at + leaseLimits.dueAtOnce);
      const rows = await rowsOf(some);
      for (const id of some) {
        const found = await look(book, id, rows.get(id));
        if (found === 'mended') hidden++;
        else if (found) return { hidden, ...found };
      }
      // Opening what is sealed takes the thread.
      await turn();
    }
    return { hidden };
  }

  async function look(book: Book, id: string, row: LeaseRow | undefined): Promise<Uncovered> {
    if (uncovering.faultOf(id, row) !== null) {
      // In a restored workspace that has not read on so far it is not known yet whose it is.
      if (!uncovering.isKept(id) && (!book.isWhole || isLeft(book, id))) return undefined;
      return uncovering.uncover(id, book.open.get(id) ?? null);
    }
    if (row && isOver(row.state)) {
      book.open.delete(id);
      uncovering.forget(id);
    }
    return undefined;
  }

  return {
    keep: uncovering.keep,
    /** Records first: what they say was issued has been written with them. */
    async compare(): Promise<void> {
      const { book, was, problem, lacked } = await books.read();
      if (lacked !== undefined) return warn(lacked);
      const { problems, isAtEnd } = await walk(storage, book);
      if (isAtEnd) book.isWhole = true;
      await alarm([
        ...(problem === null
          ? []
          : [`the list of what is issued and not over was changed in the database (${problem})`]),
        ...problems,
      ]);
      const judged = await judge(book);
      if (judged.lacked === undefined) await books.write(book, was);
      else warn(judged.lacked);
      if (judged.hidden > 0) wake();
    },
  };
}

export type Comparing = ReturnType<typeof createComparing>;
