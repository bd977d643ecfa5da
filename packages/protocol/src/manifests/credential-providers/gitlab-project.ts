import { z } from 'zod';
import { secretName } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

/** Roles of a project, the least first, as GitLab's API counts them. */
export const gitlabLevels = { guest: 10, planner: 15, reporter: 20, developer: 30, maintainer: 40, owner: 50 } as const;
export type GitLabLevel = keyof typeof gitlabLevels;

const accessLevel = z.enum(Object.keys(gitlabLevels) as [GitLabLevel, ...GitLabLevel[]]);
/** As GitLab names them: `read_repository`, `read_api`. */
const scopes = z
  .array(z.string().regex(/^[a-z][a-z0-9_]{0,59}$/))
  .min(1)
  .max(30);

export const gitlabProjectSource = z.strictObject({
  type: z.literal('gitlab-project'),
  url: z.url().max(1_000).default('https://gitlab.com'),
  /** With its groups, `acme/shop`, or its number. A token is one project's. */
  project: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}$/),
  /** Name of the stored secret with an access token of a maintainer of the project (scope `api`), for the address above. */
  secret: secretName,
  /** What any token may have at most. Each is named: none contains another. */
  scopes,
  /** The role that any token has at most. */
  accessLevel,
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
});
export type GitLabProjectSource = z.infer<typeof gitlabProjectSource>;

const gitlabScope = z.strictObject({ scopes: scopes.optional(), accessLevel: accessLevel.optional() });
export type GitLabScope = z.infer<typeof gitlabScope>;

export const gitlabProjectKind: CredentialKind<GitLabProjectSource, GitLabScope> = {
  from: gitlabProjectSource,
  scope: gitlabScope,
  parts: () => ['token'],
  narrow(from, { scopes: asked = from.scopes, accessLevel: level = from.accessLevel }) {
    const foreign = asked.find((each) => !from.scopes.includes(each));
    const problem =
      foreign !== undefined
        ? `scope ${foreign}`
        : gitlabLevels[level] > gitlabLevels[from.accessLevel]
          ? `access level ${level}`
          : undefined;
    if (problem === undefined) return { scope: { scopes: [...new Set(asked)], accessLevel: level } };
    return { problem: `This provider issues no ${problem}. Ask for less, or have it added to the provider.` };
  },
  meet(a, b) {
    const both = a.scopes && b.scopes ? meetOf(a.scopes, b.scopes) : (a.scopes ?? b.scopes);
    if (both?.length === 0) return nothingLeft('scope');
    const [level] = [a.accessLevel, b.accessLevel]
      .filter((each) => each !== undefined)
      .sort((one, other) => gitlabLevels[one] - gitlabLevels[other]);
    return { scope: { ...(both && { scopes: both }), ...(level && { accessLevel: level }) } };
  },
};
