import { z } from 'zod';
import { name } from '../names.ts';
import { credentialSource } from './credential-providers/index.ts';
import { description } from './description.ts';

export {
  type AskedScope,
  beyondGitHub,
  type CredentialSource,
  credentialParts,
  type GitHubAppSource,
  type GitHubPermissions,
  type GitHubScope,
  type GitLabProjectSource,
  type GitLabScope,
  gitlabLevels,
  type MariadbGrant,
  type MariadbScope,
  type MariadbSource,
  narrowScope,
  type PostgresGrant,
  type PostgresScope,
  type PostgresSource,
} from './credential-providers/index.ts';

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
  from: credentialSource,
});
export type CredentialProviderManifest = z.infer<typeof credentialProviderManifest>;
