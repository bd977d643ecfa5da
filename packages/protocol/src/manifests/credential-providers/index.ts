import { z } from 'zod';
import { awsKind, awsSource } from './aws.ts';
import { azureKind, azureSource } from './azure.ts';
import { githubAppKind, githubAppSource } from './github-app.ts';
import { gitlabProjectKind, gitlabProjectSource } from './gitlab-project.ts';
import { googleCloudKind, googleCloudSource } from './google-cloud.ts';
import type { CredentialKind, Narrowed } from './kind.ts';
import { kubernetesKind, kubernetesSource } from './kubernetes.ts';
import { mariadbKind, mariadbSource } from './mariadb.ts';
import { oauthKind, oauthSource } from './oauth.ts';
import { openbaoKind, openbaoSource } from './openbao.ts';
import { signedJwtKind, signedJwtSource, x509SvidKind, x509SvidSource } from './own-identity.ts';
import { postgresKind, postgresSource } from './postgres.ts';
import { redisKind, redisSource } from './redis.ts';
import { sshKind, sshSource } from './ssh.ts';
import { staticKind, staticSource } from './static.ts';

export { type AwsScope, type AwsSource, type AwsStatement, sessionPolicyOf } from './aws.ts';
export type { AzureScope, AzureSource } from './azure.ts';
export {
  beyondGitHub,
  type GitHubAppSource,
  type GitHubPermissions,
  type GitHubScope,
} from './github-app.ts';
export { type GitLabProjectSource, type GitLabScope, gitlabLevels } from './gitlab-project.ts';
export type { BucketRule, GoogleCloudScope, GoogleCloudSource } from './google-cloud.ts';
export type { CredentialKind, Narrowed } from './kind.ts';
export type { KubernetesScope, KubernetesSource } from './kubernetes.ts';
export type { MariadbGrant, MariadbScope, MariadbSource } from './mariadb.ts';
export type { OAuthScope, OAuthSource, OAuthSystem } from './oauth.ts';
export type { OpenBaoScope, OpenBaoSource } from './openbao.ts';
export type { SignedJwtSource, X509SvidSource } from './own-identity.ts';
export type { PostgresGrant, PostgresScope, PostgresSource } from './postgres.ts';
export type { RedisKeys, RedisScope, RedisSource } from './redis.ts';
export { isWithinPattern } from './redis-pattern.ts';
export type { SshScope, SshSource } from './ssh.ts';
export type { KeptSecrets, StaticScope, StaticSource } from './static.ts';

/** Where a provider issues, by its kind. */
export const credentialSource = z.discriminatedUnion('type', [
  postgresSource,
  githubAppSource,
  mariadbSource,
  gitlabProjectSource,
  redisSource,
  awsSource,
  azureSource,
  googleCloudSource,
  openbaoSource,
  sshSource,
  staticSource,
  oauthSource,
  kubernetesSource,
  x509SvidSource,
  signedJwtSource,
]);
export type CredentialSource = z.infer<typeof credentialSource>;

const kinds = {
  postgres: postgresKind,
  'github-app': githubAppKind,
  mariadb: mariadbKind,
  'gitlab-project': gitlabProjectKind,
  redis: redisKind,
  aws: awsKind,
  azure: azureKind,
  'google-cloud': googleCloudKind,
  openbao: openbaoKind,
  ssh: sshKind,
  static: staticKind,
  oauth: oauthKind,
  kubernetes: kubernetesKind,
  'x509-svid': x509SvidKind,
  'signed-jwt': signedJwtKind,
};

const kindOf = (from: CredentialSource) => kinds[from.type] as CredentialKind<CredentialSource, unknown>;

/** What of a provider is asked for; each kind has words of its own for it. */
export const askedScope = z.record(z.string().max(100), z.unknown());
export type AskedScope = z.infer<typeof askedScope>;

/**
 * What `from` issues for what is asked, and no more than each of `within`: what templates let their tasks have. Never more than any of them. Pure,
 * so that it is known as manifests are applied.
 */
export function narrowScope(
  from: CredentialSource,
  asked: unknown,
  within: readonly unknown[] = [],
): Narrowed<Record<string, unknown>> {
  const kind = kindOf(from);
  let issued = narrowOne(kind, from, asked);
  for (const each of within) {
    if ('problem' in issued) break;
    const most = narrowOne(kind, from, each);
    issued = 'problem' in most ? most : kind.meet(issued.scope, most.scope);
  }
  return issued as Narrowed<Record<string, unknown>>;
}

/**
 * Whether all of what was issued by the one scope is issued by the other too. Both as `narrowScope` gave them, the other for `from` as it is now.
 * False where that can't be said for sure; never for the same.
 */
export function isScopeWithin(from: CredentialSource, scope: unknown, most: unknown): boolean {
  if (isSame(scope, most)) return true;
  const kind = kindOf(from);
  const [one, other] = [scope, most].map((each) => kind.scope.safeParse(each));
  if (!one?.success || !other?.success) return false;
  if (kind.isWithin) return kind.isWithin(one.data, other.data);
  const left = kind.narrow({ ...from, ...(other.data as object) }, one.data);
  return 'scope' in left && isSame(left.scope, one.data);
}

/** As JSON, whatever the order of members. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [one, other] = [a, b].map((each) => Object.entries(each).filter(([, value]) => value !== undefined));
  const members = new Map(other);
  return (
    one?.length === other?.length &&
    (one ?? []).every(([name, value]) => members.has(name) && isSame(value, members.get(name)))
  );
}

function narrowOne(
  kind: CredentialKind<CredentialSource, unknown>,
  from: CredentialSource,
  asked: unknown,
): Narrowed<unknown> {
  const { data, error } = kind.scope.safeParse(asked);
  if (!error) return kind.narrow(from, data);
  const [issue] = error.issues;
  const at = issue?.path.length ? `at \`${issue.path.join('.')}\`: ` : '';
  return { problem: `This is not what a provider of the kind ${from.type} is asked for: ${at}${issue?.message}` };
}

/** Names of the parts of its credentials. */
export const credentialParts = (from: CredentialSource): readonly string[] => kindOf(from).parts(from);

/** The only tool servers that its credentials may be sent to; undefined: wherever a manifest says. */
export const credentialDestinations = (from: CredentialSource): readonly string[] | undefined =>
  kindOf(from).destinations?.(from);
