import { readFileSync } from 'node:fs';
import { GatehouseError, type Json } from '../../platform/index.ts';
import { callService, checkServiceUrl, memberOf, unavailable } from './remote-call.ts';
import type { RemoteKeySource, SourceSurroundings } from './types.ts';

/**
 * `openbao:https://HOST:8200#transit/keys/NAME` (`vault:` is the same): OpenBao's or HashiCorp Vault's transit engine
 * (`/v1/MOUNT/encrypt/NAME`, `/v1/MOUNT/decrypt/NAME`). Proves who it is, in this order, by what the environment has:
 * `BAO_TOKEN` or `BAO_TOKEN_FILE`; `BAO_ROLE_ID` with `BAO_SECRET_ID` or `BAO_SECRET_ID_FILE` (AppRole); `BAO_ROLE` with
 * `BAO_JWT_FILE` (JWT). `BAO_AUTH_MOUNT` is where AppRole or JWT is mounted, `BAO_NAMESPACE` the namespace, `BAO_CACERT` a file with
 * the certificate to trust. Each may also be named `VAULT_…`.
 */
export function openBaoSource(spec: string, surroundings: SourceSurroundings): RemoteKeySource {
  const url = URL.parse(spec);
  const [, mount, key] = /^#(.+)\/keys\/([A-Za-z0-9._-]+)$/.exec(url?.hash ?? '') ?? [];
  if (!url || mount === undefined || key === undefined || url.search !== '' || url.username !== '')
    throw new GatehouseError(
      'bad-request',
      'key-encryption.spec',
      `"openbao:${spec.slice(0, 200)}" is not openbao:https://HOST:PORT#transit/keys/NAME.`,
    );
  checkServiceUrl(url);
  const base = `${url.origin}${url.pathname.replace(/\/+$/, '')}/v1`;
  const name = `openbao:${spec}`;
  const setting = (variable: string) =>
    surroundings.environment[`BAO_${variable}`] || surroundings.environment[`VAULT_${variable}`] || undefined;
  const secretSetting = (variable: string) => setting(variable) ?? fileSetting(`${variable}_FILE`);
  const fileSetting = (variable: string) => {
    const path = setting(variable);
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (cause) {
      throw unavailable(name, `BAO_${variable} names ${path}, which cannot be read.`, cause);
    }
  };

  const call = async (path: string, token: string | undefined, body: Record<string, Json>) => {
    const namespace = setting('NAMESPACE');
    const ca = fileSetting('CACERT');
    const { status, text } = await callService(name, `${base}/${path}`, {
      headers: {
        'content-type': 'application/json',
        'x-vault-request': 'true',
        ...(token !== undefined && { 'x-vault-token': token }),
        ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
      },
      body: JSON.stringify(body),
      ...(ca !== undefined && { ca }),
    });
    if (status === 200) return text;
    // Its words may repeat what we sent; only the known reasons are told.
    const reasons: Record<number, string> = {
      400: 'it refused the request; is the key of a kind that encrypts (aes256-gcm96), and was its version not trimmed?',
      403: 'it denied the access; the token needs "update" on the encrypt and decrypt paths of the key.',
      404: 'it knows no such engine or key.',
      503: 'it is sealed, or in standby.',
    };
    throw unavailable(name, `${path} answered ${status}: ${reasons[status] ?? 'see its own log.'}`);
  };

  const login = async (): Promise<string> => {
    const token = secretSetting('TOKEN');
    if (token !== undefined) return token;
    const roleId = setting('ROLE_ID');
    const secretId = secretSetting('SECRET_ID');
    const role = setting('ROLE');
    const jwt = fileSetting('JWT_FILE');
    const [path, body] =
      roleId !== undefined && secretId !== undefined
        ? [`auth/${setting('AUTH_MOUNT') ?? 'approle'}/login`, { role_id: roleId, secret_id: secretId }]
        : role !== undefined && jwt !== undefined
          ? [`auth/${setting('AUTH_MOUNT') ?? 'jwt'}/login`, { role, jwt }]
          : [];
    if (path === undefined || body === undefined)
      throw unavailable(
        name,
        'nothing says how to sign in: set BAO_TOKEN_FILE, or BAO_ROLE_ID and BAO_SECRET_ID_FILE, or BAO_ROLE and BAO_JWT_FILE.',
      );
    const given = memberOf(await call(path, undefined, body), 'auth', 'client_token');
    if (typeof given !== 'string') throw unavailable(name, `${path} gave no token.`);
    return given;
  };

  return {
    kind: 'remote',
    name,
    async wrap(plain) {
      const answer = await call(`${mount}/encrypt/${key}`, await login(), {
        plaintext: Buffer.from(plain).toString('base64'),
      });
      const wrapped = memberOf(answer, 'data', 'ciphertext');
      if (typeof wrapped !== 'string') throw unavailable(name, 'it gave no ciphertext.');
      return wrapped;
    },
    async unwrap(wrapped) {
      const answer = await call(`${mount}/decrypt/${key}`, await login(), { ciphertext: wrapped });
      const plain = memberOf(answer, 'data', 'plaintext');
      if (typeof plain !== 'string') throw unavailable(name, 'it gave no plaintext.');
      return Buffer.from(plain, 'base64');
    },
  };
}
