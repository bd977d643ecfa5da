import { z } from 'zod';
import { name } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { isPart, meetOf, nothingLeft } from './meet-of.ts';

const path = z
  .string()
  .max(500)
  .regex(/^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)+$/, 'is a path of an engine: `database/creds/orders`')
  .refine((text) => !text.split('/').some((part) => part === '.' || part === '..'), 'has `.` or `..` in it')
  .refine((text) => !/^(sys|auth|identity|cubbyhole)\//.test(text), 'is none of an engine');
const paths = z.array(path).min(1).max(50);
/** A part of the credential, as `{apiKey}` names it, and the member that it is: `apiKey: api_key`. */
const parts = z
  .record(z.string().regex(/^[a-zA-Z]{1,40}$/, 'is made of letters'), z.string().min(1).max(100))
  .refine((all) => Object.keys(all).length > 0 && Object.keys(all).length <= 20, 'has 1 to 20 parts');
const policy = z.string().regex(/^[a-z0-9_.-]{1,128}$/, 'is the name of a policy');
const policies = z
  .array(policy.refine((text) => text !== 'root', 'is root'))
  .min(1)
  .max(50);

export const openbaoSource = z.strictObject({
  type: z.literal('openbao'),
  /** Of OpenBao or Vault: `https://bao.internal:8200`. */
  url: z.url().max(1_000),
  namespace: z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9_/-]+$/)
    .optional(),
  /** Where the JWT auth method is mounted. */
  mount: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/)
    .default('jwt'),
  /** Of that method. Its tokens live an hour at most. */
  role: name,
  /** One of the role's `bound_audiences`. */
  audience: z.string().min(1).max(255).default('openbao'),
  issue: z.discriminatedUnion('type', [
    z.strictObject({
      /** What an engine makes when it is read, and takes back: a database's user. */
      type: z.literal('dynamic'),
      paths,
      /** Members of the engine's answer. */
      parts: parts.default({ username: 'username', password: 'password' }),
    }),
    z.strictObject({
      /** A value that is kept there (KV, both versions). Nobody ends it: it works until somebody changes it. */
      type: z.literal('kv'),
      paths,
      /** Members of the value. */
      parts,
    }),
    z.strictObject({
      /** A token of OpenBao itself, with some of the role's policies: to sign or encrypt with one key of transit. */
      type: z.literal('token'),
      policies,
    }),
  ]),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
});
export type OpenBaoSource = z.infer<typeof openbaoSource>;

/** A credential is of one path: the first that is asked for. */
const openbaoScope = z.strictObject({ paths: paths.optional(), policies: policies.optional() });
export type OpenBaoScope = z.infer<typeof openbaoScope>;

export const openbaoKind: CredentialKind<OpenBaoSource, OpenBaoScope> = {
  from: openbaoSource,
  scope: openbaoScope,
  parts: ({ issue }) => (issue.type === 'token' ? ['token'] : Object.keys(issue.parts)),
  narrow({ issue }, asked) {
    const [member, other, allowed] =
      issue.type === 'token'
        ? (['policies', 'paths', issue.policies] as const)
        : (['paths', 'policies', issue.paths] as const);
    if (asked[other] !== undefined) return { problem: `This provider is asked for \`${member}\`, not \`${other}\`.` };
    const wanted = asked[member] ?? allowed;
    const foreign = wanted.find((each) => !allowed.includes(each));
    if (foreign === undefined) return { scope: { [member]: wanted } };
    return { problem: `This provider issues nothing of ${foreign}. Ask for less, or have it added to the provider.` };
  },
  meet(a, b) {
    const both = (one: string[] | undefined, other: string[] | undefined) =>
      one && other ? meetOf(one, other) : (one ?? other);
    const [paths, policies] = [both(a.paths, b.paths), both(a.policies, b.policies)];
    if (paths?.length === 0) return nothingLeft('path');
    if (policies?.length === 0) return nothingLeft('policy');
    return { scope: { ...(paths && { paths }), ...(policies && { policies }) } };
  },
  isWithin: (scope, most) => isPart(scope.paths, most.paths) && isPart(scope.policies, most.policies),
};
