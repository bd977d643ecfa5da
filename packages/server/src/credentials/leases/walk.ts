import { logSize, type Storage } from '../../storage/index.ts';
import { type Book, restored } from './book.ts';
import { ISSUE, readIssue, recordIn } from './issue-record.ts';
import { leaseLimits } from './limits.ts';

const [TAKE_OVER, SETTLE] = ['lease.take-over', 'workspace.settle'];

const between = (db: Storage['db'], log: string, from: number, to: number) =>
  db.selectFrom('records').where('log', '=', log).where('sequence', '>=', from).where('sequence', '<', to);

async function countOf(db: Storage['db'], log: string, from: number, to: number): Promise<number> {
  const { count } = await between(db, log, from, to)
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

async function take(db: Storage['db'], book: Book, log: string, from: number, to: number): Promise<void> {
  const rows = await between(db, log, from, to)
    .select(['sequence', 'entry'])
    // Canonical JSON has its members in order, so that most are passed over at the first.
    .where('entry', 'like', '%"kind":"change"%')
    .where((where) =>
      where.or([ISSUE, TAKE_OVER, SETTLE].map((operation) => where('entry', 'like', `%"operation":"${operation}"%`))),
    )
    .execute();
  for (const { sequence, entry } of rows) {
    const issue = readIssue(entry);
    if (issue) book.open.set(issue.id, { log, sequence });
    const record = issue ? undefined : recordIn(entry);
    if (record?.kind !== 'change') continue;
    if (record.operation === TAKE_OVER) book.takenOverAt = Math.max(book.takenOverAt, Date.parse(record.time));
    if (record.operation === SETTLE) restored(book, Date.parse(record.time));
  }
}

/**
 * Reads on in every log, and takes into the book what was issued. By the text that is signed: columns beside it can be changed unseen. Gives what is
 * wrong with the record itself, and whether its end was come to.
 */
export async function walk({ db }: Pick<Storage, 'db'>, book: Book): Promise<{ problems: string[]; isAtEnd: boolean }> {
  const problems: string[] = [];
  let left = leaseLimits.recordsOfALook;
  let isAtEnd = true;
  const known = await db.selectFrom('logs').select('id').execute();
  for (const log of new Set([...known.map(({ id }) => id), ...book.read.keys()])) {
    const size = await logSize(db, log);
    let from = book.read.get(log) ?? 0;
    if (size < from) problems.push(`the record ${log} had ${from} records, and has ${size}`);
    for (from = Math.min(from, size); from < size && left > 0; ) {
      const to = Math.min(size, from + leaseLimits.recordsAtOnce);
      const gone = to - from - (await countOf(db, log, from, to));
      if (gone > 0) problems.push(`${gone} records of ${log} from ${from} to ${to - 1} are gone`);
      await take(db, book, log, from, to);
      left -= to - from;
      from = to;
    }
    book.read.set(log, from);
    if (from < size) isAtEnd = false;
  }
  return { problems, isAtEnd };
}
