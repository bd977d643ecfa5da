import type { CredentialProviderManifest } from '@gatehouse/protocol';
import type { Identity, IdentityTokens, TrustDomain } from '../../identity/index.ts';
import type { Clock, Log, Outbound, Secret } from '../../platform/index.ts';
import type { Accounts } from '../accounts/types.ts';
import type { Provider } from '../leases/types.ts';
import { openAwsProvider } from './aws.ts';
import type { OwnCertificate } from './aws-roles-anywhere.ts';
import { openAzureProvider } from './azure.ts';
import { openGitHubAppProvider } from './github-app.ts';
import { openGitLabProjectProvider } from './gitlab-project.ts';
import { openGoogleCloudProvider } from './google-cloud.ts';
import { openKubernetesProvider } from './kubernetes.ts';
import { openMariadbProvider } from './mariadb.ts';
import type { NewPassword } from './new-password.ts';
import { openOAuthProvider } from './oauth.ts';
import { openOpenBaoProvider } from './openbao.ts';
import { openPostgresProvider } from './postgres.ts';
import { openRedisProvider } from './redis.ts';
import { openSignedJwtProvider } from './signed-jwt.ts';
import { openSshProvider } from './ssh.ts';
import { openStaticProvider } from './static/index.ts';
import { openX509SvidProvider } from './x509-svid.ts';

/** What providers are made with. */
export interface ProviderTools {
  /** That a task is for its verified person, for the authorization server that is asked. */
  assertPerson: Identity['assertPerson'];
  accounts: Accounts;
  /** A stored secret, for the destination that it was stored for. */
  openSecret(name: string, destination: string): Promise<Secret>;
  /** A new one that is being put in place of it. */
  pendingSecret(name: string, destination: string): Promise<Secret | null>;
  settleSecret(name: string, next: Secret): Promise<unknown>;
  /** Who asks, signed for the one system that is asked. */
  identityToken: IdentityTokens['sign'];
  /** The same, by an issuer of its own, as a credential that tools and agents may hold. */
  signedToken: IdentityTokens['sign'];
  /** The key that signs the SSH certificates of the provider of that name. */
  sshAuthority(provider: string): Promise<Secret>;
  /** Certificates of Gatehouse's own trust domain. */
  svids: Pick<TrustDomain, 'issueForTools' | 'rootsPem'>;
  /** The server's own. */
  environment: Record<string, string | undefined>;
  /** That a part of a static provider is used, and since when it is what it is. */
  noteUse(id: string, changedAt: number | null): void;
  /** Who Gatehouse itself is, for clouds that take certificates, and what they have to trust. */
  cloudAuthority: { certificate(): Promise<OwnCertificate>; anchors(): Promise<string> };
  outbound: Outbound;
  clock: Clock;
  log: Log;
}

/** One file for each kind. A kind is listed here once it issues, narrows, is used, is ended and verified to be gone, and survives a crash. */
export function openProvider({ name, from, environments }: CredentialProviderManifest, tools: ProviderTools): Provider {
  /** A check is for nobody, in this one. */
  const environment = environments[0] as string;
  switch (from.type) {
    case 'aws':
      return openAwsProvider(from, { ...tools, environment });
    case 'azure':
      return openAzureProvider(from, { ...tools, environment });
    case 'google-cloud':
      return openGoogleCloudProvider(from, { ...tools, environment });
    case 'openbao':
      return openOpenBaoProvider(from, { ...tools, environment });
    case 'mariadb':
      return openMariadbProvider(from, ...passwordsOf(from, tools));
    case 'redis':
      return openRedisProvider(from, ...passwordsOf(from, tools));
    case 'kubernetes':
      return openKubernetesProvider(from, tools);
    case 'x509-svid':
      return openX509SvidProvider(name, tools);
    case 'signed-jwt':
      return openSignedJwtProvider(from, { ...tools, environment });
    case 'ssh':
      return openSshProvider(name, tools.clock, () => tools.sshAuthority(name));
    case 'postgres':
      return openPostgresProvider(from, ...passwordsOf(from, tools));
    case 'github-app':
      return openGitHubAppProvider(from, tools);
    case 'static':
      return openStaticProvider(name, from, { ...tools, environmentName: environment });
    case 'oauth':
      return openOAuthProvider(name, from, tools);
    case 'gitlab-project':
      return openGitLabProjectProvider(from, tools);
  }
}

function passwordsOf(
  { secret, url }: { secret: string; url: string },
  { openSecret, pendingSecret, settleSecret }: ProviderTools,
): [() => Promise<Secret>, NewPassword] {
  return [
    () => openSecret(secret, url),
    {
      pending: () => pendingSecret(secret, url),
      settle: async (next) => {
        await settleSecret(secret, next);
      },
    },
  ];
}
