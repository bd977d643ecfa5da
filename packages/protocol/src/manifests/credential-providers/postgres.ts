import { z } from 'zod';
import { secretName } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

const privileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;
const identifier = z.string().min(1).max(63);

/** What a role may be given at most; what a tool server or a template asks for is a part of it. */
export const postgresGrant = z.strictObject({
  schema: identifier.default('public'),
  /** `*`: every table that the schema has when a role is made. */
  tables: z.union([z.literal('*'), z.array(identifier).min(1).max(100)]),
  privileges: z.array(z.enum(privileges)).min(1),
});
export type PostgresGrant = z.infer<typeof postgresGrant>;

export const postgresSource = z.strictObject({
  type: z.literal('postgres'),
  /** `postgres://USER@HOST:PORT/DATABASE`, of a user that may make roles and has what it is to pass on with grant option. No password. */
  url: z
    .url()
    .max(1_000)
    .regex(
      /^postgres(ql)?:\/\/[^:/?#@]+@[^/?#@]+\/[^/?#]+$/,
      'is postgres://USER@HOST:PORT/DATABASE, without a password',
    ),
  /** Name of the stored secret with the user's password, for `postgres://HOST:PORT`. */
  secret: secretName,
  grants: z.array(postgresGrant).min(1).max(50),
  /** Sessions of one role at once. */
  connectionLimit: z.int().min(1).max(100).default(5),
  statementTimeoutSeconds: z.int().min(1).max(3_600).default(60),
  /** `off` only where the server has no TLS: then the network is trusted with passwords and data. */
  tls: z.union([z.literal('off'), z.strictObject({ ca: z.string().max(100_000).optional() })]).default({}),
});
export type PostgresSource = z.infer<typeof postgresSource>;

/** What of it is asked for: a part of the provider's grants; all of them where it says nothing. */
const postgresScope = z.strictObject({ grants: z.array(postgresGrant).min(1).max(50).optional() });
export type PostgresScope = z.infer<typeof postgresScope>;

export const postgresKind: CredentialKind<PostgresSource, PostgresScope> = {
  from: postgresSource,
  scope: postgresScope,
  parts: () => ['username', 'password'],
  narrow({ grants: allowed }, { grants = allowed }) {
    for (const each of grants) {
      const missing = beyond(each, allowed);
      if (missing !== undefined)
        return {
          problem: `This provider issues no ${missing}. Ask for less, or have it added to the provider's grants.`,
        };
    }
    return { scope: { grants } };
  },
  meet({ grants: a }, { grants: b }) {
    if (!a || !b) return a || b ? { scope: { grants: a ?? b } } : { scope: {} };
    const grants = meetOf(schemasOf(a), schemasOf(b)).flatMap((schema) =>
      privileges.flatMap((privilege): PostgresGrant[] => {
        const tables = meetOfTables(tablesOf(a, schema, privilege), tablesOf(b, schema, privilege));
        return tables === '*' || tables.length > 0 ? [{ schema, tables, privileges: [privilege] }] : [];
      }),
    );
    return grants.length > 0 ? { scope: { grants } } : nothingLeft('table with a privilege');
  },
};

const schemasOf = (grants: readonly PostgresGrant[]) => grants.map(({ schema }) => schema);

function tablesOf(
  grants: readonly PostgresGrant[],
  schema: string,
  privilege: (typeof privileges)[number],
): PostgresGrant['tables'] {
  const giving = grants.filter((each) => each.schema === schema && each.privileges.includes(privilege));
  return giving.some(({ tables }) => tables === '*') ? '*' : giving.flatMap(({ tables }) => tables);
}

function meetOfTables(a: PostgresGrant['tables'], b: PostgresGrant['tables']): PostgresGrant['tables'] {
  if (a === '*') return b;
  return b === '*' ? a : meetOf(a, b);
}

/** The first thing asked for that is not within what may be given, in words; undefined where all is. */
function beyond(wanted: PostgresGrant, allowed: readonly PostgresGrant[]): string | undefined {
  for (const privilege of wanted.privileges) {
    const giving = allowed.filter(
      ({ schema, privileges }) => schema === wanted.schema && privileges.includes(privilege),
    );
    if (giving.some(({ tables }) => tables === '*')) continue;
    const tables = new Set(giving.flatMap(({ tables }) => (tables === '*' ? [] : tables)));
    if (wanted.tables === '*') return `${privilege} on all tables of ${wanted.schema}`;
    const missing = wanted.tables.find((table) => !tables.has(table));
    if (missing !== undefined) return `${privilege} on ${wanted.schema}.${missing}`;
  }
  return undefined;
}
