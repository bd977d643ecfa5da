import { z } from 'zod';
import { secretName } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

const privileges = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const;
type Privilege = (typeof privileges)[number];

/** What a user may be given at most; what a tool server or a template asks for is a part of it. */
const mariadbGrant = z.strictObject({
  /** `*`: every table that the database has when a user is made. */
  tables: z.union([z.literal('*'), z.array(z.string().min(1).max(64)).min(1).max(100)]),
  privileges: z.array(z.enum(privileges)).min(1),
});
export type MariadbGrant = z.infer<typeof mariadbGrant>;

export const mariadbSource = z
  .strictObject({
    type: z.literal('mariadb'),
    /** `mariadb://USER@HOST:PORT/DATABASE`, of a user that may make users, end connections and pass on what they get. No password. */
    url: z
      .url()
      .max(1_000)
      .regex(/^mariadb:\/\/[^:/?#@]+@[^/?#@]+\/[^/?#]+$/, 'is mariadb://USER@HOST:PORT/DATABASE, without a password'),
    /** Name of the stored secret with the user's password, for `mariadb://HOST:PORT`. */
    secret: secretName,
    grants: z.array(mariadbGrant).min(1).max(50),
    /** Connections of one user at once. */
    connectionLimit: z.int().min(1).max(100).default(5),
    /** Of one statement, unless it says otherwise itself. */
    statementTimeoutSeconds: z.int().min(1).max(3_600).default(60),
    /** `off` only where the server has no TLS: then the network is trusted with passwords and data. Otherwise users must use it, too. */
    tls: z.union([z.literal('off'), z.strictObject({ ca: z.string().max(100_000).optional() })]).default({}),
  })
  .refine(({ url, tls }) => tls === 'off' || !isAddress(new URL(url).hostname), {
    path: ['url'],
    message: 'names its host: the certificate is compared with the name, and no certificate of an address is taken',
  });
export type MariadbSource = z.infer<typeof mariadbSource>;

/** What of it is asked for: a part of the provider's grants; all of them where it says nothing. */
const mariadbScope = z.strictObject({ grants: z.array(mariadbGrant).min(1).max(50).optional() });
export type MariadbScope = z.infer<typeof mariadbScope>;

export const mariadbKind: CredentialKind<MariadbSource, MariadbScope> = {
  from: mariadbSource,
  scope: mariadbScope,
  parts: () => ['username', 'password'],
  narrow({ grants: allowed }, { grants = allowed }) {
    for (const privilege of privileges) {
      const wanted = tablesOf(grants, privilege);
      const giving = tablesOf(allowed, privilege);
      if (giving === '*') continue;
      const missing = wanted === '*' ? 'all tables' : wanted.find((table) => !giving.includes(table));
      if (missing !== undefined)
        return {
          problem: `This provider issues no ${privilege} on ${missing}. Ask for less, or have it added to the provider's grants.`,
        };
    }
    return { scope: { grants } };
  },
  meet({ grants: a }, { grants: b }) {
    if (!a || !b) return a || b ? { scope: { grants: a ?? b } } : { scope: {} };
    const grants = privileges.flatMap((privilege): MariadbGrant[] => {
      const [one, other] = [tablesOf(a, privilege), tablesOf(b, privilege)];
      const tables = one === '*' ? other : other === '*' ? one : meetOf(one, other);
      return tables === '*' || tables.length > 0 ? [{ tables, privileges: [privilege] }] : [];
    });
    return grants.length > 0 ? { scope: { grants } } : nothingLeft('table with a privilege');
  },
};

const isAddress = (host: string): boolean => host.startsWith('[') || /^[\d.]+$/.test(host);

function tablesOf(grants: readonly MariadbGrant[], privilege: Privilege): MariadbGrant['tables'] {
  const giving = grants.filter((each) => each.privileges.includes(privilege));
  return giving.some(({ tables }) => tables === '*') ? '*' : giving.flatMap(({ tables }) => tables);
}
