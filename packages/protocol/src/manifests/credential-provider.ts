import { z } from 'zod';
import { name } from '../names.ts';
import { description } from './description.ts';

const identifier = z.string().min(1).max(63);

/** What a role may be given at most; what a tool server or a template asks for is a part of it. */
export const postgresGrant = z.strictObject({
  schema: identifier.default('public'),
  /** `*`: every table that the schema has when a role is made. */
  tables: z.union([z.literal('*'), z.array(identifier).min(1).max(100)]),
  privileges: z.array(z.enum(['SELECT', 'INSERT', 'UPDATE', 'DELETE'])).min(1),
});
export type PostgresGrant = z.infer<typeof postgresGrant>;

/** What of it is asked for: a part of the provider's grants; all of them where it says nothing. */
export const credentialScope = z.strictObject({ grants: z.array(postgresGrant).min(1).max(50).optional() });
export type CredentialScope = z.infer<typeof credentialScope>;

const postgres = z.strictObject({
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
  secret: name,
  grants: z.array(postgresGrant).min(1).max(50),
  /** Sessions of one role at once. */
  connectionLimit: z.int().min(1).max(100).default(5),
  statementTimeoutSeconds: z.int().min(1).max(3_600).default(60),
  /** `off` only where the server has no TLS: then the network is trusted with passwords and data. */
  tls: z.union([z.literal('off'), z.strictObject({ ca: z.string().max(100_000).optional() })]).default({}),
});

/**
 * Who issues just-in-time credentials for what stands behind tools. Agents never see them: each is made for one task and purpose, used by the gate, and
 * taken back.
 */
export const credentialProviderManifest = z.strictObject({
  kind: z.literal('CredentialProvider'),
  name,
  description,
  environments: z.array(name).min(1).max(100),
  /** Of one credential, where nothing shorter is asked for, and at most. */
  life: z
    .strictObject({
      defaultSeconds: z.int().min(30).max(3_600).default(900),
      maxSeconds: z.int().min(30).max(3_600).default(3_600),
    })
    .refine(({ defaultSeconds, maxSeconds }) => defaultSeconds <= maxSeconds, {
      message: '`defaultSeconds` is no more than `maxSeconds`',
    })
    .prefault({}),
  from: z.discriminatedUnion('type', [postgres]),
});
export type CredentialProviderManifest = z.infer<typeof credentialProviderManifest>;
