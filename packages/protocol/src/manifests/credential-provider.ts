import { z } from 'zod';
import { name } from '../names.ts';
import { credentialSource } from './credential-providers/index.ts';
import { description } from './description.ts';

export {
  type AskedScope,
  type AwsScope,
  type AwsSource,
  type AwsStatement,
  type AzureScope,
  type AzureSource,
  askedScope,
  type BucketRule,
  beyondGitHub,
  type CredentialSource,
  credentialDestinations,
  credentialParts,
  type GitHubAppSource,
  type GitHubPermissions,
  type GitHubScope,
  type GitLabProjectSource,
  type GitLabScope,
  type GoogleCloudScope,
  type GoogleCloudSource,
  gitlabLevels,
  isScopeWithin,
  isWithinPattern,
  type KeptSecrets,
  type KubernetesScope,
  type KubernetesSource,
  type MariadbGrant,
  type MariadbScope,
  type MariadbSource,
  narrowScope,
  type OAuthScope,
  type OAuthSource,
  type OAuthSystem,
  type OpenBaoScope,
  type OpenBaoSource,
  type PostgresGrant,
  type PostgresScope,
  type PostgresSource,
  type RedisKeys,
  type RedisScope,
  type RedisSource,
  type SignedJwtSource,
  type SshScope,
  type SshSource,
  type StaticScope,
  type StaticSource,
  sessionPolicyOf,
  type X509SvidSource,
} from './credential-providers/index.ts';

/**
 * Who issues just-in-time credentials for what stands behind tools. Agents never see them: each is made for one task and purpose, used by the gate, and
 * taken back.
 */
export const credentialProviderManifest = z
  .strictObject({
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
    /**
     * That tasks whose template says so (`credentials`, `direct: true`) may be handed one, for clients that can't go through the gate. What is done with
     * it there is on no record here. Absent: nobody is handed any.
     */
    direct: z
      .strictObject({
        /** 3: a person has to approve each. */
        tier: z.union([z.literal(1), z.literal(2), z.literal(3)]),
        /** Of one that is handed out. */
        maxSeconds: z.int().min(30).max(3_600).default(900),
        /** So many are made for one task, and for one agent in an hour. What is given again while it is good counts once. */
        perTask: z.int().min(1).max(50).default(10),
        perHour: z.int().min(1).max(10_000).default(60),
      })
      .optional(),
    from: credentialSource,
  })
  .refine(({ direct, from }) => direct === undefined || from.type !== 'oauth', {
    path: ['direct'],
    message: 'is not for people’s accounts: what they let an agent use, only the gate uses',
  });
export type CredentialProviderManifest = z.infer<typeof credentialProviderManifest>;
