import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canary } from '../support/canary.ts';
import { verifyAssertion } from './identity-assertion.ts';

interface Boundary {
  availableResource: string;
  availablePermissions: string[];
  availabilityCondition?: { expression: string };
}
type Token =
  | { kind: 'federated'; subject: string }
  | { kind: 'account'; scopes: string[]; endsAt: number; rules?: Boundary[] };

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;

/**
 * A fake of three APIs of Google Cloud, written from their references: STS (`v1/token`: outside tokens, and Credential Access Boundaries), IAM Credentials
 * (`generateAccessToken`) and so much of Cloud Storage that tokens can be tried. `trust` is the pool's provider and who may impersonate.
 */
export async function startFakeGoogleCloud(trust: () => { issuer: string; impersonators: RegExp }) {
  const provider = 'projects/1042/locations/global/workloadIdentityPools/agents/providers/gatehouse';
  const serviceAccount = 'reports@example-project.iam.gserviceaccount.com';
  const tokens = new Map<string, Token>();
  const lifetimes: string[] = [];
  const make = (token: Token) => {
    const text = canary('ya29.');
    tokens.set(text, token);
    return text;
  };
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const answer = (status: number, json: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    const denied = (status: number, message: string) =>
      answer(status, { error: { code: status, message, status: 'PERMISSION_DENIED' } });
    const bearer = tokens.get((request.headers.authorization ?? '').replace(/^Bearer /, ''));
    const path = request.url ?? '';

    if (path === '/v1/token') {
      const form = Object.fromEntries(new URLSearchParams(body));
      const invalid = (words: string) => answer(400, { error: 'invalid_grant', error_description: words });
      if (form.grant_type !== EXCHANGE || form.requested_token_type !== type('access_token'))
        return answer(400, { error: 'invalid_request', error_description: 'Invalid grant type or token type.' });
      if (form.subject_token_type === type('access_token')) {
        const source = tokens.get(form.subject_token ?? '');
        const { accessBoundary } = JSON.parse(form.options ?? '{}') as {
          accessBoundary?: { accessBoundaryRules: Boundary[] };
        };
        const rules = accessBoundary?.accessBoundaryRules ?? [];
        if (source?.kind !== 'account' || rules.length === 0 || rules.length > 10)
          return invalid('Bad access boundary.');
        const token = make({ ...source, rules });
        return answer(200, { access_token: token, issued_token_type: type('access_token'), token_type: 'Bearer' });
      }
      if (form.audience !== `//iam.googleapis.com/${provider}`) return invalid('Invalid value for "audience".');
      try {
        const { issuer } = trust();
        const { sub } = await verifyAssertion(
          form.subject_token ?? '',
          issuer,
          `https://iam.googleapis.com/${provider}`,
        );
        const token = make({ kind: 'federated', subject: sub ?? '' });
        return answer(200, {
          ...{ access_token: token, issued_token_type: type('access_token'), token_type: 'Bearer', expires_in: 3_599 },
        });
      } catch (error) {
        return invalid((error as Error).message);
      }
    }

    if (path === `/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`) {
      if (bearer?.kind !== 'federated' || !trust().impersonators.test(bearer.subject))
        return denied(403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).");
      const { scope, lifetime } = JSON.parse(body) as { scope: string[]; lifetime: string };
      const seconds = Number(/^(\d+)s$/.exec(lifetime)?.[1]);
      if (!(seconds > 0 && seconds <= 3_600)) return denied(400, 'The lifetime is not valid.');
      lifetimes.push(lifetime);
      const endsAt = Date.now() + seconds * 1_000;
      const accessToken = make({ kind: 'account', scopes: scope, endsAt });
      return answer(200, { accessToken, expireTime: new Date(endsAt).toISOString() });
    }

    const [, bucket = '', object = ''] = /^\/storage\/v1\/b\/([^/]+)\/o\/([^?]+)/.exec(path) ?? [];
    if (bucket === '') return denied(404, 'Not found.');
    if (bearer?.kind !== 'account' || bearer.endsAt <= Date.now()) return denied(401, 'Invalid credentials.');
    const writes = request.method !== 'GET';
    const scoped = bearer.scopes.some(
      (each) => each.endsWith('devstorage.read_write') || (!writes && each.endsWith('devstorage.read_only')),
    );
    const isWithin = bearer.rules?.some((rule) => reaches(rule, bucket, decodeURIComponent(object), writes)) ?? true;
    if (!scoped || !isWithin) return denied(403, `The token may not do this in ${bucket}.`);
    return answer(200, { kind: 'storage#object', bucket, name: decodeURIComponent(object) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ provider, serviceAccount, tokens, lifetimes },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
export type FakeGoogleCloud = Awaited<ReturnType<typeof startFakeGoogleCloud>>;

/** The roles and the one form of condition that Google documents for objects of a prefix. */
function reaches(rule: Boundary, bucket: string, object: string, writes: boolean): boolean {
  if (rule.availableResource !== `//storage.googleapis.com/projects/_/buckets/${bucket}`) return false;
  const wanted = writes ? ['objectAdmin', 'objectCreator'] : ['objectAdmin', 'objectViewer'];
  if (!rule.availablePermissions.some((each) => wanted.some((role) => each === `inRole:roles/storage.${role}`)))
    return false;
  const expression = rule.availabilityCondition?.expression;
  if (expression === undefined) return true;
  const [, prefix] = /^resource\.name\.startsWith\('([^']*)'\) \|\| api\.getAttribute\(/.exec(expression) ?? [];
  return prefix !== undefined && `projects/_/buckets/${bucket}/objects/${object}`.startsWith(prefix);
}
