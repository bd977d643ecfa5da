import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canary } from '../support/canary.ts';

export type FakeSystem = 'slack' | 'google' | 'microsoft' | 'salesforce' | 'jira';

/**
 * Fakes of the authorization servers of Slack, Google, Microsoft, Salesforce and Atlassian, by their published shapes: where each differs from the
 * standards, the fake does, too. Whoever opens the authorization address is signed in and says yes.
 */
export interface FakeOAuthSystem {
  origin: string;
  system: FakeSystem;
  clientSecret: string;
  /** Access tokens that would be taken now, with their scopes. */
  living(): Map<string, string[]>;
  refreshTokens: Set<string>;
  /** Requests to the authorization address. */
  asked: URLSearchParams[];
  /** The person says yes; gives where the browser is sent. */
  consent(url: string): Promise<string>;
  trouble: {
    extraScopes?: string[];
    withoutRefreshToken?: boolean;
    instanceUrl?: string;
    /** Also where it does not by itself. */
    rotates?: boolean;
    /** What it renews is made at once, and answered after this. */
    held?: Promise<void>;
    revocationFails?: boolean;
  };
  close(): void;
}

const paths: Record<FakeSystem, { authorization: string; token: string; revocation?: string }> = {
  slack: { authorization: '/oauth/v2/authorize', token: '/api/oauth.v2.access', revocation: '/api/auth.revoke' },
  google: { authorization: '/o/oauth2/v2/auth', token: '/token', revocation: '/revoke' },
  microsoft: { authorization: '/oauth2/v2.0/authorize', token: '/oauth2/v2.0/token' },
  salesforce: {
    authorization: '/services/oauth2/authorize',
    token: '/services/oauth2/token',
    revocation: '/services/oauth2/revoke',
  },
  jira: { authorization: '/authorize', token: '/oauth/token' },
};

export async function startFakeOAuthSystem(system: FakeSystem, clientSecret: string): Promise<FakeOAuthSystem> {
  const codes = new Map<string, { scopes: string[]; challenge: string; redirectUri: string }>();
  const access = new Map<string, { scopes: string[]; expiresAt: number; grant: string }>();
  const refresh = new Map<string, { scopes: string[]; grant: string }>();
  const refreshTokens = new Set<string>();
  const asked: URLSearchParams[] = [];
  const trouble: FakeOAuthSystem['trouble'] = {};
  const rotates = system === 'slack' || system === 'jira' || system === 'microsoft';
  const lifeSeconds = { slack: 43_200, google: 3_599, microsoft: 4_716, salesforce: 7_200, jira: 3_600 }[system];
  const at = paths[system];

  function tokens(scopes: string[], grant: string, was?: string) {
    const token = canary(`${system}-access-`);
    access.set(token, { scopes, expiresAt: Date.now() + lifeSeconds * 1_000, grant });
    let refreshToken = was;
    // Without these a system gives no refresh token.
    const mayRenew =
      system === 'slack' ||
      (system === 'google' && asked.at(-1)?.get('access_type') === 'offline') ||
      scopes.includes('offline_access') ||
      scopes.includes('refresh_token');
    if ((was === undefined || rotates || trouble.rotates) && mayRenew && !trouble.withoutRefreshToken) {
      if (was !== undefined) {
        refresh.delete(was);
        refreshTokens.delete(was);
      }
      refreshToken = canary(`${system}-refresh-`);
      refresh.set(refreshToken, { scopes, grant });
      refreshTokens.add(refreshToken);
    }
    const isNew = refreshToken !== was;
    const all = [...scopes, ...(trouble.extraScopes ?? [])];
    const id_token = 'eyJhbGciOiJub25lIn0.e30.';
    const standard = {
      access_token: token,
      token_type: 'Bearer',
      expires_in: lifeSeconds,
      ...(isNew && { refresh_token: refreshToken }),
    };
    switch (system) {
      case 'slack': {
        const user = {
          access_token: token,
          token_type: 'user',
          scope: all.join(','),
          expires_in: lifeSeconds,
          refresh_token: refreshToken,
        };
        return was === undefined
          ? { ok: true, app_id: 'A0FAKE', authed_user: { id: 'U0FAKE', ...user }, team: { id: 'T0FAKE', name: 'Fake' } }
          : { ok: true, ...user, team: { id: 'T0FAKE', name: 'Fake' } };
      }
      case 'google':
        return { ...standard, scope: [...all, 'openid'].join(' '), id_token };
      case 'microsoft':
        return {
          ...standard,
          scope: [
            ...all.map((each) => each.replace('https://graph.microsoft.com/', '')),
            'openid',
            'profile',
            'email',
          ].join(' '),
          ext_expires_in: lifeSeconds,
          id_token,
        };
      case 'salesforce': {
        const { expires_in: _, ...rest } = standard;
        return {
          ...rest,
          scope: [...all, 'id'].join(' '),
          instance_url: trouble.instanceUrl ?? origin,
          id: `${origin}/id/00D/005`,
          issued_at: String(Date.now()),
          signature: 'c2ln',
        };
      }
      case 'jira':
        return { ...standard, scope: all.join(' ') };
    }
  }

  function answerTo(path: string, form: URLSearchParams, authorization: string): { status: number; body?: object } {
    const failed = (error: string, status = 400) =>
      system === 'slack'
        ? { status: 200, body: { ok: false, error } }
        : { status, body: { error, error_description: `a description of ${error}` } };
    if (path === at.revocation) {
      if (trouble.revocationFails) return { status: 503 };
      const token = form.get('token') ?? '';
      const known = access.get(token) ?? refresh.get(token);
      if (!known) return failed(system === 'slack' ? 'invalid_auth' : 'invalid_token');
      const isAccess = access.has(token);
      access.delete(token);
      // Salesforce ends an access token alone; with the others all goes that came of the same consent.
      if (system !== 'salesforce' || !isAccess) {
        for (const [each, { grant }] of access) if (grant === known.grant) access.delete(each);
        for (const [each, { grant }] of refresh)
          if (grant === known.grant) {
            refresh.delete(each);
            refreshTokens.delete(each);
          }
      }
      return { status: 200, ...(system === 'slack' && { body: { ok: true, revoked: true } }) };
    }
    if (path !== at.token) return { status: 404 };
    const basic = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString();
    if (form.get('client_secret') !== clientSecret && basic !== `client-1:${clientSecret}`)
      return failed(system === 'slack' ? 'bad_client_secret' : 'invalid_client', 401);
    if (form.get('grant_type') === 'refresh_token') {
      const known = refresh.get(form.get('refresh_token') ?? '');
      return known
        ? { status: 200, body: tokens(known.scopes, known.grant, form.get('refresh_token') ?? '') }
        : failed(system === 'slack' ? 'invalid_refresh_token' : 'invalid_grant');
    }
    const code = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (!code || code.challenge !== challenge || code.redirectUri !== form.get('redirect_uri'))
      return failed(system === 'slack' ? 'invalid_code' : 'invalid_grant');
    return { status: 200, body: tokens(code.scopes, randomBytes(8).toString('hex')) };
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://fake');
    if (request.method === 'GET' && url.pathname === at.authorization) {
      const query = url.searchParams;
      asked.push(query);
      const code = randomBytes(12).toString('hex');
      const scopes = (
        system === 'slack' ? (query.get('user_scope') ?? '').split(',') : (query.get('scope') ?? '').split(' ')
      ).filter(Boolean);
      codes.set(code, {
        scopes,
        challenge: query.get('code_challenge') ?? '',
        redirectUri: query.get('redirect_uri') ?? '',
      });
      const back = new URL(query.get('redirect_uri') ?? '');
      back.searchParams.set('code', code);
      back.searchParams.set('state', query.get('state') ?? '');
      response.writeHead(302, { location: back.href }).end();
      return;
    }
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
    const { status, body } = answerTo(url.pathname, form, request.headers.authorization ?? '');
    if (form.get('grant_type') === 'refresh_token') await trouble.held;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body && JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    system,
    clientSecret,
    living: () => new Map([...access].map(([token, { scopes }]) => [token, scopes])),
    refreshTokens,
    asked,
    trouble,
    async consent(url) {
      const answer = await fetch(url, { redirect: 'manual' });
      return answer.headers.get('location') ?? '';
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
