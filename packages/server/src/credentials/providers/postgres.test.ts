import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { narrowScope, type PostgresGrant, type PostgresSource } from '@gatehouse/protocol';
import fc from 'fast-check';
import pg from 'pg';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { newId } from '../../platform/ids.ts';
import { type Json, Secret } from '../../platform/index.ts';
import { nameOf } from '../leases/rows.ts';
import type { Made, Order, Provider } from '../leases/types.ts';
import { openPostgresProvider } from './postgres.ts';

/** What a lease of it is for. */
function scopeOf(from: PostgresSource, asked: unknown): Json {
  const narrowed = narrowScope(from, asked);
  assert.ok('scope' in narrowed, JSON.stringify(narrowed));
  return narrowed.scope as Json;
}

/** What npm brings, and what the system has where that is an older one. */
const installed = installedMajor();
const servers = await Promise.all([
  startPostgres(),
  ...(installed !== undefined && installed < 18 ? [startPostgres({ version: `${installed}` })] : []),
]);
const signal = () => AbortSignal.timeout(20_000);

for (const postgres of servers)
  describe(`PostgreSQL roles (${postgres?.version})`, {
    skip: postgres ? false : 'there is no PostgreSQL on this machine',
  }, () => {
    let database: TestDatabase;
    let owner: pg.Client;
    let provider: Provider;
    let source: PostgresSource;
    let url: URL;

    before(async () => {
      database = await (postgres as TestPostgres).createDatabase();
      url = new URL(database.url);
      owner = new pg.Client(database.url);
      await owner.connect();
      const admin = `broker_${database.name}`;
      await owner.query(`create table orders (id int, total int); create table salaries (person text, pays int);
      create table notes (id bigserial primary key, number bigint generated always as identity, text text);
      insert into orders values (1, 40); insert into salaries values ('zoe', 1000);
      create role ${admin} login createrole password 'broker-password';
      grant connect on database ${database.name} to ${admin} with grant option;
      grant usage, create on schema public to ${admin} with grant option;
      grant select, insert, update, delete on orders, salaries, notes to ${admin} with grant option;
      grant usage on sequence notes_id_seq to ${admin} with grant option;
      grant pg_signal_backend to ${admin}`);
      source = {
        ...{ type: 'postgres', secret: 'broker' },
        url: `postgres://${admin}@${url.host}${url.pathname}`,
        grants: [
          { schema: 'public', tables: ['orders'], privileges: ['SELECT', 'INSERT'] },
          { schema: 'public', tables: ['salaries'], privileges: ['SELECT'] },
          { schema: 'public', tables: ['notes'], privileges: ['SELECT', 'INSERT'] },
        ],
        connectionLimit: 2,
        statementTimeoutSeconds: 30,
        tls: 'off',
      };
      provider = openPostgresProvider(source, async () => new Secret('broker-password'));
    });

    after(async () => {
      await provider?.close();
      await owner?.end();
      await database?.drop();
      await postgres?.close();
    });

    function order(
      scope: unknown = { grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT'] }] },
    ): Order {
      const lease = newId('lse');
      return {
        lease,
        name: nameOf(lease),
        scope: scopeOf(source, scope),
        expiresAt: Date.now() + 60_000,
        environment: 'production',
        agent: 'agent-1',
        task: 'tsk_1',
      };
    }
    const left = ({ lease, name, scope, expiresAt }: Order, revocation: Made['revocation'] | null = null) => ({
      lease,
      name,
      scope,
      expiresAt,
      revocation,
      makingUntil: Date.now(),
    });
    async function signIn({ credential }: Made, into = database.name): Promise<pg.Client> {
      const client = new pg.Client({
        host: url.hostname,
        port: Number(url.port),
        database: into,
        user: credential.username?.reveal(),
        password: credential.password?.reveal(),
      });
      client.on('error', () => undefined);
      await client.connect();
      return client;
    }
    const roles = async () =>
      (await owner.query("select rolname from pg_roles where rolname like 'gh\\_%'")).rows.length;

    test('a role is issued, used, sees only what was asked for, and is verified to be gone', async () => {
      const asked = order();
      const made = await provider.create(asked, signal());
      const client = await signIn(made);
      assert.deepEqual((await client.query('select total from orders')).rows, [{ total: 40 }]);
      await assert.rejects(client.query('select * from salaries'), { code: '42501' });
      await assert.rejects(client.query('insert into orders values (2, 1)'), /permission denied|read-only/);
      await assert.rejects(client.query('create table mine (id int)'), /permission denied|read-only/);
      await client.end();
      await provider.revoke(left(asked, made.revocation), signal());
      assert.equal(await roles(), 0);
      await assert.rejects(signIn(made), { code: '28P01' });
    });

    test('it is bounded in sessions, in the time of a statement, and in its own', async () => {
      const asked = order();
      const made = await provider.create(asked, signal());
      const sessions = await Promise.all([signIn(made), signIn(made)]);
      await assert.rejects(signIn(made), { code: '53300' });
      assert.deepEqual((await sessions[0]?.query('show statement_timeout'))?.rows, [{ statement_timeout: '30s' }]);
      for (const each of sessions) await each.end();
      const { rows } = await owner.query('select rolvaliduntil as until from pg_roles where rolname = $1', [
        asked.name,
      ]);
      assert.equal((rows as { until: Date }[])[0]?.until.getTime(), asked.expiresAt);
      await provider.revoke(left(asked, made.revocation), signal());
    });

    test('who may insert rows may have them numbered, and uses no other sequence', async () => {
      await owner.query('create sequence elsewhere');
      const insert = async (tables: string[]) => {
        const privileges = tables[0] === 'notes' ? ['SELECT', 'INSERT'] : ['SELECT'];
        const asked = order({ grants: [{ schema: 'public', tables, privileges }] });
        const made = await provider.create(asked, signal());
        const client = await signIn(made);
        try {
          await assert.rejects(client.query("select nextval('elsewhere')"), /permission denied/);
          return (await client.query("insert into notes (text) values ('a') returning id")).rowCount;
        } finally {
          await client.end();
          await provider.revoke(left(asked, made.revocation), signal());
        }
      };
      assert.equal(await insert(['notes']), 1);
      await assert.rejects(insert(['orders']), /permission denied|read-only/);
      assert.equal(await roles(), 0);
    });

    test('a server is reached by an IPv6 address', async (t) => {
      const here = createServer((socket) => {
        const there = connect(Number(url.port), url.hostname);
        socket.pipe(there).pipe(socket);
        for (const [each, other] of [
          [socket, there],
          [there, socket],
        ] as const)
          each.on('error', () => other.destroy());
      }).listen(0, '::1');
      const isThere = await once(here, 'listening').then(
        () => true,
        () => false,
      );
      if (!isThere) return t.skip('this machine has no IPv6');
      const { port } = here.address() as AddressInfo;
      const byIpv6 = new URL(source.url);
      byIpv6.host = `[::1]:${port}`;
      const over = openPostgresProvider({ ...source, url: byIpv6.href }, async () => new Secret('broker-password'));
      try {
        await over.check(signal());
      } finally {
        await over.close();
        here.close();
      }
    });

    test('an open session ends with it, also in the middle of a statement, in less than a second', async () => {
      const asked = order();
      const made = await provider.create(asked, signal());
      const client = await signIn(made);
      const sleeping = client.query('select pg_sleep(30)');
      const cut = assert.rejects(sleeping, /terminat|closed/);
      const begun = performance.now();
      await provider.revoke(left(asked, made.revocation), signal());
      await cut;
      assert.ok(performance.now() - begun < 25_000);
      const { rowCount } = await owner.query('select 1 from pg_stat_activity where usename = $1', [asked.name]);
      assert.equal(rowCount, 0);
    });

    test('what it made goes with it, so that nothing keeps it from being dropped', async () => {
      const asked = order({ grants: [{ schema: 'public', tables: ['orders'], privileges: ['SELECT', 'INSERT'] }] });
      const made = await provider.create(asked, signal());
      await owner.query(
        `set role broker_${database.name}; grant create on schema public to ${pg.escapeIdentifier(asked.name)}; reset role`,
      );
      const client = await signIn(made);
      await client.query('create table left_behind (id int)');
      await client.end();
      await provider.revoke(left(asked, made.revocation), signal());
      assert.equal(await roles(), 0);
    });

    /** @proves lease.apart */
    test('what it made in another database goes with it, where it could get in', async () => {
      const asked = order();
      const made = await provider.create(asked, signal());
      const elsewhere = await signIn(made, 'postgres');
      await elsewhere.query('begin read write');
      await elsewhere.query('select lo_create(0)');
      await elsewhere.query('commit');
      await elsewhere.end();
      await provider.revoke(left(asked, made.revocation), signal());
      assert.equal(await roles(), 0);
    });

    /** @proves lease.apart */
    test('what another role lets it use keeps it from nothing, whatever that is, also of a session that is open', async () => {
      const [mine, theirs] = [order(), order()];
      const [own, other] = [await provider.create(mine, signal()), await provider.create(theirs, signal())];
      const elsewhere = await (postgres as TestPostgres).createDatabase();
      const [client, away] = [await signIn(own), await signIn(own, elsewhere.name)];
      for (const each of [client, away]) {
        await each.query('set default_transaction_read_only = off');
        await each.query(`create temp table theirs (id int); grant select on theirs to ${theirs.name};
          alter table theirs enable row level security; create policy mine on theirs to ${theirs.name};
          create temp sequence numbers; grant usage on sequence numbers to ${theirs.name};
          create function pg_temp.one() returns int language sql as 'select 1';
          grant execute on function pg_temp.one() to ${theirs.name};
          create type pg_temp.pair as (a int); grant usage on type pg_temp.pair to ${theirs.name};
          alter default privileges grant select on tables to ${theirs.name}`);
        const { rows } = await each.query('select lo_create(0) as id');
        await each.query(`grant select on large object ${rows[0].id} to ${theirs.name}`);
      }
      await provider.revoke(left(theirs, other.revocation), signal());
      assert.equal(await roles(), 1);
      assert.equal((await client.query('select * from theirs')).rowCount, 0, 'its own session goes on');
      await away.end();
      await provider.revoke(left(mine, own.revocation), signal());
      assert.equal(await roles(), 0);
      await elsewhere.drop();
    });

    test('no lock that a role takes keeps others from being issued and ended, also by several replicas at once', async () => {
      const asked = order();
      const made = await provider.create(asked, signal());
      const client = await signIn(made);
      await client.query("select pg_advisory_lock(hashtext('gatehouse credentials'))");
      const replica = openPostgresProvider(source, async () => new Secret('broker-password'));
      await Promise.all(
        Array.from({ length: 16 }, async (_, at) => {
          const one = at % 2 ? provider : replica;
          const of = order();
          await one.revoke(left(of, (await one.create(of, AbortSignal.timeout(8_000))).revocation), signal());
        }),
      );
      await replica.close();
      await provider.revoke(left(asked, made.revocation), signal());
      await client.end().catch(() => undefined);
      assert.equal(await roles(), 0);
    });

    test('renewed it lets its user sign in after the end that it had, and what is gone is not made again', async () => {
      const asked = { ...order(), expiresAt: Date.now() + 1_000 };
      const made = await provider.create(asked, signal());
      await provider.renew?.(left(asked, made.revocation), Date.now() + 60_000, signal());
      await new Promise((resolve) => setTimeout(resolve, asked.expiresAt - Date.now() + 100));
      await (await signIn(made)).end();
      await provider.revoke(left(asked, made.revocation), signal());
      await assert.rejects(async () => provider.renew?.(left(asked), Date.now() + 60_000, signal()), { code: '42704' });
      assert.equal(await roles(), 0);
    });

    test('ending what was never made, and what is gone, is no error', async () => {
      const asked = order();
      await provider.revoke(left(asked), signal());
      await provider.create(asked, signal());
      await provider.revoke(left(asked), signal());
      await provider.revoke(left(asked), signal());
      assert.equal(await roles(), 0);
    });

    test('the password is in no statement that the server could log', async () => {
      await owner.query(`alter role current_user set log_statement = 'none'`);
      const asked = order();
      const made = await provider.create(asked, signal());
      const { rows } = await owner.query('select rolpassword, rolvaliduntil from pg_authid where rolname = $1', [
        asked.name,
      ]);
      assert.match(rows[0].rolpassword, /^SCRAM-SHA-256\$4096:/);
      assert.equal(rows[0].rolvaliduntil.getTime(), asked.expiresAt);
      assert.ok(!rows[0].rolpassword.includes(made.credential.password?.reveal()));
      await provider.revoke(left(asked, made.revocation), signal());
    });

    test('more than the provider may give is refused with what is missing', () => {
      for (const [grants, missing] of [
        [[{ tables: ['salaries'], privileges: ['UPDATE'] }], /UPDATE on public\.salaries/],
        [[{ tables: '*', privileges: ['SELECT'] }], /SELECT on all tables of public/],
        [[{ schema: 'private', tables: ['orders'], privileges: ['SELECT'] }], /SELECT on private\.orders/],
      ] as const)
        assert.match((narrowScope(source, { grants }) as { problem: string }).problem, missing);
    });

    test('a check says what its user lacks, which PostgreSQL itself only warns of', async () => {
      const admin = decodeURIComponent(new URL(source.url).username);
      const lacks = async (statement: string, pattern: RegExp, back: string) => {
        await owner.query(statement);
        await assert.rejects(provider.check(signal()), { code: 'provider.rights', message: pattern });
        await owner.query(back);
      };
      await provider.check(signal());
      await lacks(
        `revoke grant option for insert on orders from ${admin}`,
        /may not pass on INSERT on "public"\."orders": .*WITH GRANT OPTION/,
        `grant insert on orders to ${admin} with grant option`,
      );
      await lacks(
        `revoke grant option for usage on sequence notes_id_seq from ${admin} cascade`,
        /may not pass on USAGE on the sequence notes_id_seq, .*WITH GRANT OPTION/,
        `grant usage on sequence notes_id_seq to ${admin} with grant option`,
      );
      await lacks(
        `revoke connect on database ${database.name} from public;
         revoke grant option for connect on database ${database.name} from ${admin} cascade`,
        /may not pass on CONNECT on the database/,
        `grant connect on database ${database.name} to ${admin} with grant option;
         grant connect on database ${database.name} to public`,
      );
      await lacks(
        `revoke usage on schema public from public; revoke grant option for usage on schema public from ${admin} cascade`,
        /may not pass on USAGE on the schema public/,
        `grant usage on schema public to ${admin} with grant option; grant usage on schema public to public`,
      );
      await lacks(
        `revoke pg_signal_backend from ${admin}`,
        /may not end sessions there: grant it pg_signal_backend/,
        `grant pg_signal_backend to ${admin}`,
      );
      await lacks(
        'alter table salaries rename to wages',
        /finds no table "public"\."salaries"/,
        'alter table wages rename to salaries',
      );
      await lacks(`alter role ${admin} nocreaterole`, /give it CREATEROLE/, `alter role ${admin} createrole`);
      await provider.check(signal());
    });

    test('a server without TLS is said to be one, with what to do', async () => {
      const secure = openPostgresProvider({ ...source, tls: {} }, async () => new Secret('broker-password'));
      await assert.rejects(secure.check(signal()), { code: 'provider.tls', message: /speaks no TLS: .*`tls: off`/ });
      await secure.close();
    });

    test('a name with quotes in it stays a name', async () => {
      await owner.query('create table "or""ders; drop table orders" (id int)');
      const oddSource: PostgresSource = {
        ...{ type: 'postgres', secret: 'broker' },
        url: database.url,
        grants: [{ schema: 'public', tables: ['or"ders; drop table orders'], privileges: ['SELECT'] }],
        connectionLimit: 1,
        statementTimeoutSeconds: 30,
        tls: 'off',
      };
      const odd = openPostgresProvider(oddSource, async () => new Secret(url.password));
      const asked = { ...order(), scope: scopeOf(oddSource, {}) };
      await odd.create(asked, signal());
      await odd.revoke(left(asked), signal());
      await odd.close();
      assert.equal((await owner.query('select * from orders')).rowCount, 1);
    });
  });

function installedMajor(): number | undefined {
  const { stdout } = spawnSync('pg_dump', ['--version'], { encoding: 'utf8' });
  const [, major] = /PostgreSQL\) (\d+)/.exec(stdout ?? '') ?? [];
  return major === undefined ? undefined : Number(major);
}

test('issued is within asked, and asked within allowed', () => {
  const privilege = fc.constantFrom<PostgresGrant['privileges'][number]>('SELECT', 'INSERT', 'UPDATE', 'DELETE');
  const grant: fc.Arbitrary<PostgresGrant> = fc.record({
    schema: fc.constantFrom('public', 'sales'),
    tables: fc.oneof(fc.constant('*' as const), fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 })),
    privileges: fc.uniqueArray(privilege, { minLength: 1 }),
  });
  const anywhere: Omit<PostgresSource, 'grants'> = {
    ...{ type: 'postgres', url: 'postgres://broker@db/shop', secret: 'broker' },
    ...{ connectionLimit: 1, statementTimeoutSeconds: 1, tls: 'off' },
  };
  const reach = (grants: readonly PostgresGrant[]) =>
    new Set(
      grants.flatMap(({ schema, tables, privileges }) =>
        (tables === '*' ? ['a', 'b', 'c', 'any other'] : tables).flatMap((table) =>
          privileges.map((each) => `${schema}.${table} ${each}`),
        ),
      ),
    );
  fc.assert(
    fc.property(
      fc.array(grant, { minLength: 1, maxLength: 4 }),
      fc.array(grant, { minLength: 1, maxLength: 4 }),
      (allowed, asked) => {
        const isWithin = 'scope' in narrowScope({ ...anywhere, grants: allowed }, { grants: asked });
        const inFact = [...reach(asked)].every((each) => reach(allowed).has(each));
        assert.equal(isWithin, inFact);
      },
    ),
  );
  // And of what is asked for, exactly what tasks of a template may be given.
  const all = { ...anywhere, grants: ['public', 'sales'].map(everything) };
  fc.assert(
    fc.property(
      fc.array(grant, { minLength: 1, maxLength: 4 }),
      fc.array(grant, { minLength: 1, maxLength: 4 }),
      (asked, most) => {
        const narrowed = narrowScope(all, { grants: asked }, [{ grants: most }]);
        const left = new Set([...reach(asked)].filter((each) => reach(most).has(each)));
        const issued = 'scope' in narrowed ? reach((narrowed.scope as { grants: PostgresGrant[] }).grants) : new Set();
        assert.deepEqual(issued, left);
      },
    ),
  );
});

const everything = (schema: string): PostgresGrant => ({
  schema,
  tables: '*',
  privileges: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
});
