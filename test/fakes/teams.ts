import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';

/**
 * A fake of the Bot Framework's connector, its sign-in and its metadata, and of a Workflows address, in the shapes of their documentation. It draws no
 * cards.
 */
export interface FakeTeams {
  origin: string;
  appId: string;
  tenant: string;
  calls: { id: string; method: string; path: string; body: { attachments: { content: Record<string, unknown> }[] } }[];
  /** A button's press: the activity, and the token that the connector sends with it. */
  press(
    user: string,
    action: { verb: string; approval: string },
    how?: {
      audience?: string;
      issuer?: string;
      serviceUrl?: string;
      key?: 'unendorsed' | 'strange';
      id?: string;
      /** The activity that the button was in; left out, the card about this approval. */
      replyToId?: string;
      expired?: boolean;
    },
  ): Promise<{ body: string; headers: Record<string, string> }>;
  close(): void;
}

export async function startFakeTeams(): Promise<FakeTeams> {
  const appId = '11111111-2222-4333-8444-555555555555';
  const tenant = '99999999-8888-4777-8666-555555555555';
  const calls: FakeTeams['calls'] = [];
  const pairs = new Map<string, CryptoKey>();
  const keys = await Promise.all(
    ['endorsed', 'unendorsed'].map(async (kid) => {
      const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
      pairs.set(kid, privateKey);
      return {
        ...(await exportJWK(publicKey)),
        kid,
        use: 'sig',
        ...(kid === 'endorsed' && { endorsements: ['msteams'] }),
      };
    }),
  );
  pairs.set('strange', (await generateKeyPair('RS256')).privateKey);
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const path = request.url ?? '';
    const send = (body: object, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (path === '/metadata') return send({ issuer: 'https://api.botframework.com', jwks_uri: `${origin}/keys` });
    if (path === '/keys') return send({ keys });
    if (path === `/${tenant}/oauth2/v2.0/token`) {
      const given = new URLSearchParams(text);
      if (given.get('client_secret') !== 'bot-s3cret') return send({ error: 'invalid_client' }, 401);
      return send({ token_type: 'Bearer', expires_in: 3600, access_token: 'bot-token' });
    }
    const isWorkflow = path.startsWith('/workflows/') && path.includes('sig=fake');
    if (!isWorkflow && request.headers.authorization !== 'Bearer bot-token') return send({ error: {} }, 401);
    const id = `activity-${calls.length + 1}`;
    calls.push({ id, method: request.method ?? '', path, body: JSON.parse(text) });
    send(isWorkflow ? {} : { id }, isWorkflow ? 202 : 201);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    appId,
    tenant,
    calls,
    async press(user, { verb, approval }, how = {}) {
      const {
        audience = appId,
        issuer = 'https://api.botframework.com',
        serviceUrl = `${origin}/`,
        key = 'endorsed',
        replyToId = calls.find(
          (each) =>
            each.method === 'POST' &&
            !each.path.startsWith('/workflows/') &&
            JSON.stringify(each.body).includes(approval),
        )?.id,
      } = how;
      const activity = {
        type: 'invoke',
        name: 'adaptiveCard/action',
        id: how.id ?? `f:${crypto.randomUUID()}`,
        replyToId,
        channelId: 'msteams',
        serviceUrl: `${origin}/`,
        from: { id: '29:fake', name: 'Somebody', aadObjectId: user },
        conversation: { id: '19:fake@thread.tacv2', conversationType: 'channel', tenantId: tenant },
        recipient: { id: `28:${appId}`, name: 'Gatehouse' },
        value: { action: { type: 'Action.Execute', title: 'Deny', verb, data: { approval } }, trigger: 'manual' },
      };
      const signing = pairs.get(key);
      if (!signing) throw new Error(key);
      const now = Math.floor(Date.now() / 1_000) - (how.expired ? 7_200 : 0);
      const token = await new SignJWT({ serviceurl: serviceUrl })
        .setProtectedHeader({ alg: 'RS256', kid: key, typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setNotBefore(now)
        .setExpirationTime(now + 3_600)
        .sign(signing);
      return {
        body: JSON.stringify(activity),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
