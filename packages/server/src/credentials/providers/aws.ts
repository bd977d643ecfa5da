import {
  type AwsScope,
  type AwsSource,
  leastSecondsOf,
  type ProviderAbilities,
  sessionPolicyOf,
} from '@gatehouse/protocol';
import {
  assumeRole,
  assumeRoleWithWebIdentity,
  GatehouseError,
  Secret,
  type StsRefusal,
  stsUrl,
  type TakenRole,
} from '../../platform/index.ts';
import { leaseLimits } from '../leases/limits.ts';
import { type Left, type Made, NotMade, type Order, type Provider } from '../leases/types.ts';
import { createSession } from './aws-roles-anywhere.ts';
import { endsWhen, remainingOf } from './ends-by-itself.ts';
import type { ProviderTools } from './index.ts';

/** AWS gives no session less. */
const LEAST_SECONDS = leastSecondsOf('aws');
/** And ends none before its time. */
const ABILITIES: ProviderAbilities = {
  canNarrow: true,
  canRevoke: false,
  canEndSessions: false,
  maxResidualSeconds: null,
  leastSeconds: LEAST_SECONDS,
};
type Whose = Pick<Order, 'lease' | 'environment' | 'agent' | 'task'>;

const NOTHING = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
});

/**
 * Sessions of one role, each narrowed by a session policy to what its lease is for. Taken with an identity token, or with Gatehouse's own certificate, so
 * that no key of AWS is kept. In CloudTrail each says whose it is: the session's name is the lease's, the source identity is the agent, tags name task and environment.
 */
export function openAwsProvider(
  settings: AwsSource,
  {
    identityToken,
    cloudAuthority,
    outbound,
    clock,
    environment: ofCheck,
  }: Pick<ProviderTools, 'identityToken' | 'cloudAuthority' | 'outbound' | 'clock'> & { environment: string },
): Provider {
  const { region, allowPrivateAddress } = settings;
  const endpoint = { url: settings.url ?? stsUrl(region), allowPrivateAddress };

  const tokenFor = async (whose: Whose, tags: Record<string, string>, sourceIdentity: string): Promise<string> => {
    const token = await identityToken({
      ...{ audience: settings.audience, ...whose },
      claims: {
        'https://aws.amazon.com/tags': {
          principal_tags: Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, [value]])),
          transitive_tag_keys: Object.keys(tags),
        },
        'https://aws.amazon.com/source_identity': sourceIdentity,
      },
    });
    return token.reveal();
  };
  /** What a session of Roles Anywhere is as its source identity it stays. */
  async function takeWithCertificate(taken: TakenRole, tags: Record<string, string>, sourceIdentity: string) {
    const { credentials, sourceIdentity: fixed } = await createSession(settings, await cloudAuthority.certificate(), {
      outbound,
      clock,
    });
    return assumeRole(outbound, endpoint, {
      ...{ ...taken, credentials, region, tags },
      sourceIdentity: fixed === undefined ? sourceIdentity : undefined,
    });
  }

  async function take(
    { lease, name, environment, agent, task }: Whose & { name: string },
    policy: string,
    durationSeconds: number,
  ) {
    const tags = { environment, lease, ...(agent !== '' && { agent, task }) };
    const sourceIdentity = agent || 'gatehouse-test';
    const taken = { role: settings.role, sessionName: name, durationSeconds, policy };
    const answer = settings.rolesAnywhere
      ? await takeWithCertificate(taken, tags, sourceIdentity)
      : await assumeRoleWithWebIdentity(outbound, endpoint, {
          ...taken,
          token: await tokenFor({ lease, environment, agent, task }, tags, sourceIdentity),
        });
    if (!('status' in answer)) return answer;
    if (answer.status >= 400 && answer.status < 500 && answer.code !== '') throw refused(answer);
    throw new GatehouseError('upstream', 'provider.answer', `STS gave no session (status ${answer.status}).`);
  }

  return {
    abilities: ABILITIES,

    async create(order: Order, signal): Promise<Made> {
      signal.throwIfAborted();
      const { allow = settings.allow } = order.scope as unknown as AwsScope;
      const session = await take(order, sessionPolicyOf(allow), secondsFor(order.expiresAt - clock.now()));
      const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = session;
      return {
        credential: {
          accessKeyId: new Secret(accessKeyId),
          secretAccessKey: new Secret(secretAccessKey),
          sessionToken: new Secret(sessionToken),
        },
        ...endsWhen(expiresAt),
      };
    },

    revoke: async (left: Left) =>
      remainingOf(left, {
        ...{ clock, who: 'STS' },
        why: 'AWS ends no session before its time. To cut off its agent at once, deny the role by aws:SourceIdentity.',
      }),

    /** A session that may do nothing. */
    async check() {
      const nobody = { lease: 'check', name: 'gatehouse-check', environment: ofCheck, agent: '', task: '' };
      await take(nobody, NOTHING, LEAST_SECONDS);
    },

    // Without a certificate AWS looks at the issuer's keys by itself.
    ...(settings.rolesAnywhere && { trust: cloudAuthority.anchors }),

    close: async () => undefined,
  };
}

const secondsFor = (ms: number) => Math.min(Math.max(Math.ceil(ms / 1_000), LEAST_SECONDS), leaseLimits.maxSeconds);

const hints: Record<string, string> = {
  AccessDenied:
    ' Does the role’s trust policy allow sts:AssumeRoleWithWebIdentity, sts:TagSession and sts:SetSourceIdentity for this issuer, audience and subject?',
  InvalidIdentityToken:
    ' Has IAM an identity provider for the issuer, with this audience, and can it fetch the issuer’s keys?',
  IDPCommunicationError: ' IAM could not fetch the issuer’s documents: is it reachable from the internet?',
  ExpiredTokenException: ' Is this machine’s clock right?',
  PackedPolicyTooLarge:
    ' Session policy and tags together are more than AWS packs into a session: ask for fewer actions and resources, or use patterns.',
  MalformedPolicyDocument: ' An action or a resource of the scope is not one that AWS knows.',
  RegionDisabledException: ' STS is not active in this region for the account.',
  ValidationError: ' Does the role’s longest session (MaxSessionDuration) cover the lease’s life?',
};

const refused = ({ status, code, message }: StsRefusal) =>
  new NotMade(
    status === 429 || code === 'Throttling' ? 'too-many' : 'upstream',
    'provider.refused',
    `STS gave no session (${code}: ${message.slice(0, 300)}).${hints[code] ?? ''}`,
  );
