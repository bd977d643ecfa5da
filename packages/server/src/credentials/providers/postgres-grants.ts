import type { PostgresGrant } from '@gatehouse/protocol';
import pg from 'pg';

type Client = pg.Client | pg.PoolClient;

/** Those of columns of the type `serial`, which whoever inserts rows uses too, and whether the broker may pass that on. An identity column needs no right of its own. */
export async function sequencesOf(
  client: Client,
  schema: string,
  tables: PostgresGrant['tables'],
): Promise<{ name: string; may: boolean }[]> {
  const { rows } = await client.query<{ name: string; may: boolean }>(
    `select s.oid::regclass::text as name, has_sequence_privilege(s.oid, 'usage with grant option') as may
       from pg_depend d
       join pg_class s on s.oid = d.objid and s.relkind = 'S'
       join pg_class t on t.oid = d.refobjid
       join pg_namespace n on n.oid = t.relnamespace
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'a'
        and n.nspname = $1 and ($2::text[] is null or t.relname = any ($2))
      order by 1`,
    [schema, tables === '*' ? null : tables],
  );
  return rows;
}

/**
 * Leases' roles that have let this one use what they made here, or have named it in a policy of a table of theirs, so that it could not be dropped:
 * who may act for them can take that back.
 */
async function grantorsTo(client: Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ rolname: string }>(
    `with granted as (
       select d.dbid, d.classid, d.objid from pg_shdepend d join pg_roles r on r.oid = d.refobjid and r.rolname = $1
        where d.refclassid = 'pg_authid'::regclass and d.deptype <> 'o'
          and d.dbid in (0, (select oid from pg_database where datname = current_database()))
     ), makers as (
       select made.refobjid as maker from granted join pg_shdepend made using (dbid, classid, objid)
        where made.refclassid = 'pg_authid'::regclass and made.deptype = 'o'
       union
       select c.relowner from granted join pg_policy p on p.oid = granted.objid join pg_class c on c.oid = p.polrelid
        where granted.classid = 'pg_policy'::regclass
     )
     select r.rolname from makers join pg_roles r on r.oid = makers.maker
      where r.rolname ~ '^gh_[0-9a-z]{26}$' and r.rolname <> $1 and not pg_has_role(r.oid, 'usage')`,
    [name],
  );
  return rows.map(({ rolname }) => rolname);
}

/** In this database: what it owns and was granted. `drop owned` fails over sequences of which the broker may pass on no more than their use. */
export async function dropWhatIsOf(client: Client, name: string): Promise<void> {
  const role = pg.escapeIdentifier(name);
  for (const other of await grantorsTo(client, name))
    await client.query(`grant ${pg.escapeIdentifier(other)} to current_user`);
  const { rows } = await client.query<{ sequence: string }>(
    `select s.oid::regclass::text as sequence
       from pg_shdepend granted
       join pg_roles r on r.oid = granted.refobjid and r.rolname = $1
       join pg_class s on s.oid = granted.objid and s.relkind = 'S'
      where granted.refclassid = 'pg_authid'::regclass and granted.classid = 'pg_class'::regclass and granted.deptype = 'a'
        and granted.dbid = (select oid from pg_database where datname = current_database())
        and not pg_has_role(s.relowner, 'usage')`,
    [name],
  );
  for (const { sequence } of rows) await client.query(`revoke usage on sequence ${sequence} from ${role}`);
  await client.query(`drop owned by ${role}`);
}

export async function otherDatabasesOf(client: Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ datname: string }>(
    `select distinct d.datname from pg_shdepend s join pg_database d on d.oid = s.dbid join pg_roles r on r.oid = s.refobjid
       where s.refclassid = 'pg_authid'::regclass and r.rolname = $1 and d.datname <> current_database()`,
    [name],
  );
  return rows.map(({ datname }) => datname);
}
