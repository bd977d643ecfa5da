import { randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { canary } from '../support/canary.ts';

interface Token {
  account: string;
  audiences: string[];
  bound: { namespace: string; name: string; uid: string };
  expiresAt: number;
}

/**
 * A fake of a Kubernetes API server, by its published OpenAPI: Secrets, TokenRequest with a bound object, access reviews of Gatehouse's own token, and a
 * list of pods that shows for whom a token is taken. A bound token is taken while its Secret is there with the same uid.
 */
export async function startFakeKubernetes({
  cert,
  key,
  token: broker,
  accounts,
}: {
  cert: string;
  key: string;
  /** By which Gatehouse asks. */
  token: string;
  /** `NAMESPACE/NAME` of each service account. */
  accounts: string[];
}) {
  const secrets = new Map<string, { uid: string; metadata: Record<string, unknown> }>();
  const tokens = new Map<string, Token>();
  const asked: string[] = [];
  const trouble: { tokens?: 'refused' | 'lost'; rights?: string[]; keepsSecrets?: boolean } = {};
  const server = createServer({ cert, key }, async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const given = body === '' ? {} : JSON.parse(body);
    const path = request.url ?? '';
    asked.push(`${request.method} ${path}`);
    const answer = (status: number, object: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(object));
    const refuse = (code: number, reason: string, message: string) =>
      answer(code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
    const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const known = tokens.get(bearer);
    const isTaken =
      known?.audiences.includes('api') &&
      known.expiresAt > Date.now() &&
      secrets.get(`${known.bound.namespace}/${known.bound.name}`)?.uid === known.bound.uid;
    if (bearer !== broker && !isTaken) return refuse(401, 'Unauthorized', 'Unauthorized');
    const pods = /^\/api\/v1\/namespaces\/([^/]+)\/pods$/.exec(path);
    if (pods && known) {
      if (!known.account.startsWith(`${pods[1]}/`))
        return refuse(403, 'Forbidden', `pods is forbidden: User "${known.account}" cannot list resource "pods"`);
      return answer(200, {
        kind: 'PodList',
        apiVersion: 'v1',
        metadata: {},
        items: [{ metadata: { name: `seen-by-${known.account}` } }],
      });
    }
    if (bearer !== broker) return refuse(403, 'Forbidden', `${path} is forbidden`);
    if (path === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews') {
      const { resource, subresource, verb } = given.spec.resourceAttributes;
      const right = `${verb} ${[resource, subresource].filter(Boolean).join('/')}`;
      return answer(201, { ...given, status: { allowed: trouble.rights?.includes(right) ?? true } });
    }
    const [, namespace = '', kind, name = '', sub] =
      /^\/api\/v1\/namespaces\/([^/]+)\/(secrets|serviceaccounts)(?:\/([^/]+)(\/token)?)?$/.exec(path) ?? [];
    const id = `${namespace}/${name}`;
    if (kind === 'secrets' && request.method === 'DELETE') {
      if (!secrets.has(id)) return refuse(404, 'NotFound', `secrets "${name}" not found`);
      if (!trouble.keepsSecrets) secrets.delete(id);
      return answer(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' });
    }
    if (kind === 'secrets' && request.method === 'POST' && name === '') {
      const { metadata } = given;
      if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(metadata.name)) return refuse(422, 'Invalid', 'metadata.name');
      if (secrets.has(`${namespace}/${metadata.name}`)) return refuse(409, 'AlreadyExists', 'already exists');
      const uid = randomUUID();
      secrets.set(`${namespace}/${metadata.name}`, { uid, metadata });
      return answer(201, { ...given, metadata: { ...metadata, namespace, uid } });
    }
    if (kind === 'serviceaccounts' && sub && request.method === 'POST') {
      const { spec } = given;
      const bound = spec.boundObjectRef;
      if (!accounts.includes(id)) return refuse(404, 'NotFound', `serviceaccounts "${name}" not found`);
      if (trouble.tokens === 'refused') return refuse(403, 'Forbidden', 'serviceaccounts/token is forbidden');
      if (spec.expirationSeconds < 600)
        return refuse(422, 'Invalid', 'may not specify a duration less than 10 minutes');
      if (secrets.get(`${namespace}/${bound.name}`)?.uid !== bound.uid)
        return refuse(409, 'Conflict', `the UID in the bound object reference does not match`);
      const expiresAt = Date.now() + spec.expirationSeconds * 1_000;
      const text = canary('fake.');
      const audiences = spec.audiences ?? ['api'];
      tokens.set(text, { account: id, audiences, bound: { namespace, name: bound.name, uid: bound.uid }, expiresAt });
      if (trouble.tokens === 'lost') return response.destroy();
      const status = { token: text, expirationTimestamp: new Date(expiresAt).toISOString() };
      return answer(201, { ...given, status });
    }
    return refuse(404, 'NotFound', 'the server could not find the requested resource');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    ...{ secrets, tokens, asked, trouble },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
