import type { KeptSecrets } from '@gatehouse/protocol';
import { SignatureV4 } from '@smithy/signature-v4';
import {
  awsCredentials,
  GatehouseError,
  isJsonObject,
  type Json,
  type JsonObject,
  NodeSha256,
  parseStrictJson,
  Secret,
} from '../../../platform/index.ts';
import { openAzureProvider } from '../azure.ts';
import { openGoogleCloudProvider } from '../google-cloud.ts';
import type { ProviderTools } from '../index.ts';
import type { SecretSource, Whose } from './source.ts';

type Kept<Type> = Extract<KeptSecrets, { type: Type }>;

const TIMEOUT_MS = 8_000;
const MOST_BYTES = 256 * 1024;

interface Asked {
  url: string;
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
}

/** Asks whoever keeps it. What comes back may be the secret, so that no error says it. */
function asking(
  keeper: string,
  { outbound }: ProviderTools,
  { allowPrivateAddress, ca }: { allowPrivateAddress: boolean; ca?: string | undefined },
) {
  return async function ask({ url, ...request }: Asked, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    const { status, body } = await outbound.fetch(url, {
      ...{ ...request, allowPrivateAddress, maxBytes: MOST_BYTES, timeoutMs: TIMEOUT_MS },
      ...(ca !== undefined && { ca }),
    });
    if (status === 200) return body;
    throw new GatehouseError(
      status === 404 ? 'not-found' : 'upstream',
      status === 404 ? 'secret.missing' : 'provider.refused',
      `${keeper} gave no secret (${status}).${status === 404 ? ' Is there one of this name, and may Gatehouse read it?' : status === 401 || status === 403 ? ' May Gatehouse read it?' : ''}`,
    );
  };
}

function jsonOf(keeper: string, body: Buffer): JsonObject {
  let parsed: Json | undefined;
  try {
    parsed = parseStrictJson(body);
  } catch {
    // What it says may be a secret.
  }
  if (isJsonObject(parsed)) return parsed;
  throw new GatehouseError('upstream', 'provider.answer', `${keeper}’s answer was not what it is documented to be.`);
}

const textOf = (keeper: string, value: Json | undefined): Secret => {
  if (typeof value === 'string' && value !== '') return new Secret(value);
  throw new GatehouseError('not-found', 'secret.missing', `${keeper} has no text there.`);
};

const timeOf = (value: Json | undefined): number | null => {
  const at = typeof value === 'number' ? value * 1_000 : Date.parse(String(value));
  return Number.isFinite(at) ? Math.round(at) : null;
};

/** 1Password Connect: `ITEM/FIELD`, an item by its id or title, a field by its id or label. */
export function fromOnePassword(settings: Kept<'1password-connect'>, tools: ProviderTools): SecretSource {
  const keeper = '1Password Connect';
  const ask = asking(keeper, tools, settings);
  const vault = `${settings.url.replace(/\/+$/, '')}/v1/vaults/${settings.vault}/items`;
  return {
    async read(name, _whose, signal) {
      const at = name.lastIndexOf('/');
      const [item, field] = [name.slice(0, at), name.slice(at + 1)];
      const token = await tools.openSecret(settings.secret, settings.url);
      const headers = { authorization: `Bearer ${token.reveal()}` };
      let id = item;
      if (!/^[a-z0-9]{26}$/.test(item)) {
        const filter = encodeURIComponent(`title eq "${item.replaceAll(/["\\]/g, '')}"`);
        const found = parseStrictJson(await ask({ url: `${vault}?filter=${filter}`, headers }, signal));
        const [first, ...others] = Array.isArray(found) ? found : [];
        // Two of one title: nobody can say which is meant.
        if (!isJsonObject(first) || others.length > 0 || typeof first.id !== 'string')
          throw new GatehouseError(
            'not-found',
            'secret.missing',
            `${keeper} has not one item "${item}" in that vault.`,
          );
        id = first.id;
      }
      const found = jsonOf(keeper, await ask({ url: `${vault}/${encodeURIComponent(id)}`, headers }, signal));
      const fields = Array.isArray(found.fields) ? found.fields.filter(isJsonObject) : [];
      const value = fields.find((each) => each.id === field || each.label === field)?.value;
      return { value: textOf(keeper, value), changedAt: timeOf(found.updatedAt) };
    },
  };
}

/** CyberArk Conjur: ids of variables. Its API key brings a token that lives for minutes. */
export function fromConjur(settings: Kept<'conjur'>, tools: ProviderTools): SecretSource {
  const keeper = 'Conjur';
  const ask = asking(keeper, tools, settings);
  const base = settings.url.replace(/\/+$/, '');
  const [account, login] = [settings.account, settings.login].map(encodeURIComponent);
  return {
    async read(name, _whose, signal) {
      const key = await tools.openSecret(settings.secret, settings.url);
      const token = await ask(
        {
          url: `${base}/authn/${account}/${login}/authenticate`,
          method: 'POST',
          headers: { 'content-type': 'text/plain' },
          body: key.reveal(),
        },
        signal,
      );
      const authorization = `Token token="${token.toString('base64')}"`;
      const url = `${base}/secrets/${account}/variable/${encodeURIComponent(name)}`;
      const value = (await ask({ url, headers: { authorization } }, signal)).toString('utf8');
      return { value: textOf(keeper, value), changedAt: null };
    },
  };
}

/** AWS Secrets Manager, with the server's own AWS credentials: names or ARNs. */
export function fromAwsSecretsManager(settings: Kept<'aws-secrets-manager'>, tools: ProviderTools): SecretSource {
  const keeper = 'AWS Secrets Manager';
  const ask = asking(keeper, tools, settings);
  const url = new URL(settings.url ?? `https://secretsmanager.${settings.region}.amazonaws.com`);
  return {
    async read(name, _whose, signal) {
      const credentials = await awsCredentials(settings.region, tools.environment);
      const signer = new SignatureV4({
        ...{ service: 'secretsmanager', region: settings.region, credentials, sha256: NodeSha256 },
      });
      const body = JSON.stringify({ SecretId: name });
      const { headers } = await signer.sign(
        {
          ...{ method: 'POST', protocol: url.protocol, hostname: url.hostname, path: '/', body },
          headers: {
            host: url.host,
            'content-type': 'application/x-amz-json-1.1',
            'x-amz-target': 'secretsmanager.GetSecretValue',
          },
        },
        { signingDate: new Date(tools.clock.now()) },
      );
      const answer = jsonOf(keeper, await ask({ url: `${url.origin}/`, method: 'POST', headers, body }, signal));
      return { value: textOf(keeper, answer.SecretString), changedAt: timeOf(answer.CreatedDate) };
    },
  };
}

/** Google Secret Manager, as the agent's identity may read it: the newest version of the secret of this name. */
export function fromGoogleSecretManager(
  settings: Kept<'gcp-secret-manager'>,
  tools: ProviderTools,
  environment: string,
): SecretSource {
  const keeper = 'Google Secret Manager';
  const ask = asking(keeper, tools, settings);
  const access = openGoogleCloudProvider(settings.access, { ...tools, environment });
  return {
    async read(name, whose, signal) {
      const headers = await bearer(access, whose, { scopes: settings.access.scopes }, signal);
      const version = `${settings.url.replace(/\/+$/, '')}/v1/projects/${settings.project}/secrets/${encodeURIComponent(name)}/versions/latest`;
      const [about, answer] = await Promise.all([
        ask({ url: version, headers }, signal),
        ask({ url: `${version}:access`, headers }, signal),
      ]);
      const { payload } = jsonOf(keeper, answer);
      const data = isJsonObject(payload) && typeof payload.data === 'string' ? payload.data : '';
      return {
        value: textOf(keeper, Buffer.from(data, 'base64').toString('utf8')),
        changedAt: timeOf(jsonOf(keeper, about).createTime),
      };
    },
  };
}

/** Azure Key Vault, as the agent's identity may read it: names of secrets. */
export function fromAzureKeyVault(
  settings: Kept<'azure-key-vault'>,
  tools: ProviderTools,
  environment: string,
): SecretSource {
  const keeper = 'Azure Key Vault';
  const ask = asking(keeper, tools, settings);
  const access = openAzureProvider(settings.access, { ...tools, environment });
  return {
    async read(name, whose, signal) {
      const headers = await bearer(access, whose, { resources: settings.access.resources }, signal);
      const url = `${settings.url.replace(/\/+$/, '')}/secrets/${encodeURIComponent(name)}?api-version=7.4`;
      const { value, attributes } = jsonOf(keeper, await ask({ url, headers }, signal));
      const updated = isJsonObject(attributes) ? attributes.updated : undefined;
      return { value: textOf(keeper, value), changedAt: timeOf(updated) };
    },
  };
}

/** A token of the cloud for this one reading. */
async function bearer(
  access: ReturnType<typeof openGoogleCloudProvider>,
  whose: Whose,
  scope: Json,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const { credential } = await access.create({ ...whose, scope }, signal);
  return { authorization: `Bearer ${credential.token?.reveal()}` };
}
