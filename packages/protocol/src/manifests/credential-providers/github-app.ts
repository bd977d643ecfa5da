import { z } from 'zod';
import { secretName } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

const levels = ['read', 'write', 'admin'] as const;
export type GitHubLevel = (typeof levels)[number];

/** `CONTENTS` of `contents: write`, as GitHub's API names it. */
const permissions = z
  .record(
    z.string().regex(/^[a-z][a-z_]{0,59}$/, 'is a permission as GitHub’s API names it: `pull_requests`'),
    z.enum(levels),
  )
  .refine((all) => Object.keys(all).length > 0, 'has one permission or more');
export type GitHubPermissions = z.infer<typeof permissions>;

const repositories = z
  .array(z.string().regex(/^[A-Za-z0-9._-]{1,100}$/, 'is the name of a repository, without its owner'))
  .min(1)
  // GitHub takes no more for one token.
  .max(500);

export const githubAppSource = z.strictObject({
  type: z.literal('github-app'),
  /** Of the API: `https://HOST/api/v3` for GitHub Enterprise Server. */
  url: z.url().max(1_000).default('https://api.github.com'),
  /** The App's client id, or its number. */
  app: z.string().regex(/^[A-Za-z0-9._-]{1,100}$/),
  /** Number of the App's installation at the owner. */
  installation: z.int().positive(),
  /** Who has the repositories: the user or organization that the App is installed at. */
  owner: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
  /** Name of the stored secret with the App's private key (PEM), for the address above. */
  secret: secretName,
  /** What any token may reach at most. */
  repositories,
  /** And what it may do there at most: `read`, `write` or `admin`. GitHub adds `metadata: read` to each. */
  permissions,
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
});
export type GitHubAppSource = z.infer<typeof githubAppSource>;

const githubScope = z.strictObject({ repositories: repositories.optional(), permissions: permissions.optional() });
export type GitHubScope = z.infer<typeof githubScope>;

const key = (repository: string) => repository.toLowerCase();
const rank = (level: GitHubLevel | undefined) => (level === undefined ? -1 : levels.indexOf(level));
/** What a permission is in a set of them, `constructor` included. */
const levelIn = (all: GitHubPermissions, permission: string): GitHubLevel | undefined =>
  permission === 'metadata' && !Object.hasOwn(all, permission)
    ? 'read'
    : Object.hasOwn(all, permission)
      ? all[permission]
      : undefined;

/** What is in `permissions` beyond `allowed`, in words; undefined where nothing is. */
export const beyondGitHub = (permissions: GitHubPermissions, allowed: GitHubPermissions): string | undefined => {
  const found = Object.entries(permissions).find(
    ([permission, level]) => rank(level) > rank(levelIn(allowed, permission)),
  );
  return found && `${found[0]}: ${found[1]}`;
};

export const githubAppKind: CredentialKind<GitHubAppSource, GitHubScope> = {
  from: githubAppSource,
  scope: githubScope,
  parts: () => ['token'],
  narrow(from, { repositories: asked = from.repositories, permissions = from.permissions }) {
    const allowed = new Set(from.repositories.map(key));
    const wanted = [...new Map(asked.map((each) => [key(each), each])).values()];
    const foreign = wanted.find((each) => !allowed.has(key(each)));
    const more = beyondGitHub(permissions, from.permissions);
    if (foreign === undefined && more === undefined) return { scope: { repositories: wanted, permissions } };
    return {
      problem: `This provider issues no ${more ?? `token for ${from.owner}/${foreign}`}. Ask for less, or have it added to the provider.`,
    };
  },
  meet(a, b) {
    const repositories =
      a.repositories && b.repositories
        ? meetOf(a.repositories.map(key), b.repositories.map(key))
        : (a.repositories ?? b.repositories);
    const permissions =
      a.permissions && b.permissions ? lower(a.permissions, b.permissions) : (a.permissions ?? b.permissions);
    if (repositories?.length === 0) return nothingLeft('repository');
    if (permissions && Object.keys(permissions).length === 0) return nothingLeft('permission');
    return { scope: { ...(repositories && { repositories }), ...(permissions && { permissions }) } };
  },
};

/** Of what both have, the lower level. */
function lower(a: GitHubPermissions, b: GitHubPermissions): GitHubPermissions {
  return Object.fromEntries(
    Object.entries(a).flatMap(([permission, level]): [string, GitHubLevel][] => {
      const other = Object.hasOwn(b, permission) ? b[permission] : undefined;
      if (other === undefined) return [];
      return [[permission, rank(level) < rank(other) ? level : other]];
    }),
  );
}
