import { randomUUID, X509Certificate } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createCsr } from '../../packages/server/src/identity/testing/svid-client.ts';
import { startWorkspace } from '../../test/support/workspace.ts';

/** A server with one agent. Prints one line of JSON: its addresses, and all that the agent proves itself with. */
const workspace = await startWorkspace({ mutualTls: true });
await workspace.apply([
  { kind: 'Environment', name: 'bench' },
  { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
  { kind: 'Template', name: 'bench' },
  { kind: 'Blueprint', name: 'bench', templates: ['bench'] },
  {
    kind: 'Agent',
    name: 'agent-bench',
    owner: 'owner@example.test',
    purpose: 'bench',
    environment: 'bench',
    blueprint: 'bench',
  },
]);
const { url, mutualTlsUrl } = workspace;
const pair = await generateKeyPair('ES256', { extractable: true });
await workspace.operator('POST /agents/:name/keys', {
  params: { name: 'agent-bench' },
  body: { key: await exportJWK(pair.publicKey) },
});
const clientAssertion = await new SignJWT({ jti: randomUUID() })
  .setProtectedHeader({ alg: 'ES256' })
  .setIssuer('agent-bench')
  .setSubject('agent-bench')
  .setAudience(url)
  .setIssuedAt()
  .setExpirationTime('60s')
  .sign(pair.privateKey);
const { pem, privateKey } = createCsr();
const response = await fetch(`${url}/svid/x509`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ csr: pem, clientAssertion }),
});
const { certificates } = (await response.json()) as { certificates: string[] };
const bundle = (await (await fetch(`${url}/.well-known/spiffe/bundle`)).json()) as { keys: { x5c?: string[] }[] };
const pemOf = (der: string) => new X509Certificate(Buffer.from(der, 'base64')).toString();
const { tasks } = await workspace.operator('POST /tasks', {
  body: { tasks: [{ agent: 'agent-bench', template: 'bench', intent: 'bench', parameters: {} }] },
});
console.log(
  JSON.stringify({
    url,
    mutualTlsUrl,
    task: tasks[0]?.id,
    key: await exportJWK(pair.privateKey),
    svid: {
      cert: certificates.map(pemOf).join(''),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      ca: bundle.keys
        .flatMap(({ x5c = [] }) => x5c)
        .map(pemOf)
        .join(''),
    },
  }),
);
process.on('SIGTERM', () => workspace.close().then(() => process.exit(0)));
