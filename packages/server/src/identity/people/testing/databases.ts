import { after, describe } from 'node:test';
import { startPostgres } from '../../../../../../test/support/postgres.ts';

/** Runs the suite on SQLite and on a real PostgreSQL; `database` gives one of its own each time it is asked. */
export function onEachDatabase(title: string, suite: (database: () => Promise<string>) => void): void {
  describe(`${title} (SQLite)`, () => suite(async () => 'sqlite'));
  onPostgres(title, suite);
}

/** For what only several replicas on one database can show. */
export function onPostgres(title: string, suite: (database: () => Promise<string>) => void): void {
  describe(`${title} (PostgreSQL)`, { skip: postgres ? false : 'there is no PostgreSQL on this machine' }, () =>
    suite(async () => {
      if (!postgres) throw new Error('there is no PostgreSQL on this machine');
      return (await postgres.createDatabase()).url;
    }),
  );
}

const postgres = await startPostgres();

after(() => postgres?.close());
