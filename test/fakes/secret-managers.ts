import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What each of them holds, and who may read it. */
export interface HeldSecrets {
  onePassword: { token: string; vault: string; item: string; title: string; field: string; value: string };
  conjur: { account: string; login: string; key: string; variable: string; value: string };
  google: { project: string; serviceAccount: string; subject: string; secret: string; value: string };
  azure: { tenant: string; client: string; subject: string; secret: string; value: string };
}

type Answer = { status: number; body: string | Buffer };
const json = (body: object, status = 200): Answer => ({ status, body: JSON.stringify(body) });
const CHANGED_AT = '2026-01-02T03:04:05Z';
export const changedAt = Date.parse(CHANGED_AT);

/**
 * Fakes of four products that cannot run here, written from the shapes that their makers publish: 1Password Connect (`/v1/vaults/…/items`), CyberArk Conjur
 * (`authn`, `secrets`), Google Secret Manager with the token exchange before it, and Azure Key Vault with Entra's token endpoint. Each is under
 * a path of its own.
 */
export async function startFakeSecretManagers(held: HeldSecrets) {
  const conjurToken = Buffer.from(JSON.stringify({ protected: 'p', payload: 'x', signature: 's' }));
  const asked: string[] = [];

  function onePassword(path: string, request: IncomingMessage): Answer {
    const { token, vault, item, title, field, value } = held.onePassword;
    if (request.headers.authorization !== `Bearer ${token}`)
      return json({ status: 401, message: 'Invalid token' }, 401);
    const items = `/v1/vaults/${vault}/items`;
    const url = new URL(path, 'http://x');
    const about = { id: item, title, vault: { id: vault }, version: 3, updatedAt: CHANGED_AT };
    if (url.pathname === items) {
      const isMeant = url.searchParams.get('filter') === `title eq "${title}"`;
      return { status: 200, body: JSON.stringify(isMeant ? [about] : []) };
    }
    if (url.pathname !== `${items}/${item}`) return json({ status: 404, message: 'Item not found' }, 404);
    return json({
      ...about,
      fields: [
        { id: 'notesPlain', type: 'STRING' },
        { id: 'f1', label: field, value },
      ],
    });
  }

  function conjur(path: string, request: IncomingMessage, body: string): Answer {
    const { account, login, key, variable, value } = held.conjur;
    if (path === `/authn/${account}/${encodeURIComponent(login)}/authenticate`)
      return body === key ? { status: 200, body: conjurToken } : { status: 401, body: '' };
    if (request.headers.authorization !== `Token token="${conjurToken.toString('base64')}"`)
      return { status: 401, body: '' };
    return path === `/secrets/${account}/variable/${encodeURIComponent(variable)}`
      ? { status: 200, body: value }
      : json({ error: { code: 'not_found' } }, 404);
  }

  function google(path: string, request: IncomingMessage, body: string): Answer {
    const { project, serviceAccount, subject, secret, value } = held.google;
    if (path === '/v1/token') {
      const form = new URLSearchParams(body);
      return form.get('subject_token') === subject
        ? json({ access_token: 'federated', token_type: 'Bearer' })
        : json({ error: 'invalid_grant' }, 400);
    }
    if (path === `/v1/projects/-/serviceAccounts/${serviceAccount}:generateAccessToken`)
      return request.headers.authorization === 'Bearer federated'
        ? json({ accessToken: 'impersonated', expireTime: new Date(Date.now() + 60_000).toISOString() })
        : json({ error: { code: 403, status: 'PERMISSION_DENIED' } }, 403);
    if (request.headers.authorization !== 'Bearer impersonated') return json({ error: { code: 401 } }, 401);
    const version = `/v1/projects/${project}/secrets/${secret}/versions/latest`;
    const name = `projects/1042/secrets/${secret}/versions/7`;
    if (path === version) return json({ name, createTime: CHANGED_AT, state: 'ENABLED' });
    if (path === `${version}:access`)
      return json({ name, payload: { data: Buffer.from(value).toString('base64'), dataCrc32c: '1' } });
    return json({ error: { code: 404, status: 'NOT_FOUND' } }, 404);
  }

  function azure(path: string, request: IncomingMessage, body: string): Answer {
    const { tenant, client, subject, secret, value } = held.azure;
    if (path === `/${tenant}/oauth2/v2.0/token`) {
      const form = new URLSearchParams(body);
      const isRight =
        form.get('client_id') === client &&
        form.get('client_assertion') === subject &&
        form.get('scope') === 'https://vault.azure.net/.default';
      return isRight
        ? json({ token_type: 'Bearer', expires_in: 3_600, access_token: 'entra' })
        : json({ error: 'invalid_client', error_description: 'AADSTS700213' }, 401);
    }
    if (request.headers.authorization !== 'Bearer entra')
      return json({ error: { code: 'Unauthorized', message: 'AKV10000' } }, 401);
    return path === `/secrets/${secret}?api-version=7.4`
      ? json({ value, id: `https://v.vault.azure.net/secrets/${secret}/7`, attributes: { updated: changedAt / 1_000 } })
      : json({ error: { code: 'SecretNotFound' } }, 404);
  }

  const products = { onePassword, conjur, google, azure };
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const [, product = '', path = ''] = /^\/([^/]+)(.*)$/.exec(request.url ?? '') ?? [];
    asked.push(request.url ?? '');
    const answer = products[product as keyof typeof products]?.(path, request, body) ?? { status: 404, body: '' };
    response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: (product: keyof typeof products) => `${url}/${product}`,
    asked,
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}
