import { X509Certificate } from 'node:crypto';
import type { ManifestInput } from '@gatehouse/protocol';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Agent, fetch as undiciFetch } from 'undici';
import { createCsr } from '../../packages/server/src/identity/testing/svid-client.ts';
import type { Workspace } from './workspace.ts';

/**
 * Another gateway as it is in the world: a workload whose platform vouches for it (a trust rule), that fetches its X.509-SVID and asks for
 * decisions over mutual TLS, or with a JWT-SVID where it cannot.
 */
export type GatewayClient = Awaited<ReturnType<typeof openGateway>>;

type Json = Record<string, unknown>;
type WorkloadInput = Extract<ManifestInput, { kind: 'Workload' }>;

/** An outside issuer whose keys are in the rule, so that nothing is fetched. */
export async function createPlatform() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'platform', alg: 'ES256', use: 'sig' }];
  const url = 'https://platform.example';
  return {
    manifests: (workload: Omit<WorkloadInput, 'kind' | 'owner' | 'purpose'>): ManifestInput[] => [
      { kind: 'Workload', owner: 'owner@example.test', purpose: 'gateway in tests', ...workload },
      {
        kind: 'TrustRule',
        name: workload.name,
        issuer: { type: 'oidc', url, jwks: { keys } },
        claims: { sub: workload.name },
        workload: workload.name,
      },
    ],
    sign: (sub: string, audience: string) =>
      new SignJWT({ sub, jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'ES256', kid: 'platform' })
        .setIssuer(url)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey),
  };
}
export type Platform = Awaited<ReturnType<typeof createPlatform>>;

export async function openGateway(workspace: Workspace, platform: Platform, name: string) {
  const ask = async (path: string, body: object): Promise<Json> => {
    const response = await fetch(workspace.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, proof: { token: await platform.sign(name, workspace.url) } }),
    });
    const answer = (await response.json()) as Json;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
  const { pem, privateKey } = createCsr();
  const { certificates, bundles } = (await ask('/svid/x509', { csr: pem })) as {
    certificates: string[];
    bundles: Record<string, { keys: { use: string; x5c?: string[] }[] }>;
  };
  const pemOf = (der: string) => new X509Certificate(Buffer.from(der, 'base64')).toString();
  const roots = Object.values(bundles).flatMap(({ keys }) => keys.filter(({ use }) => use === 'x509-svid'));
  const files = {
    cert: certificates.map(pemOf).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca: roots.flatMap(({ x5c = [] }) => x5c.map(pemOf)).join(''),
  };
  const dispatcher = new Agent({ connect: files });

  async function send(path: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    const response = await undiciFetch(`${workspace.mutualTlsUrl}${path}`, { dispatcher, ...init });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as Json };
  }

  return {
    files,
    send,
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      send(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    jwtSvid: async (audience = `${workspace.url}/access`) =>
      (await ask('/svid/jwt', { audience: [audience] })).token as string,
    close: () => dispatcher.destroy(),
  };
}
