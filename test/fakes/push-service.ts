import { createDecipheriv, createECDH, type ECDH, hkdfSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { importJWK, jwtVerify } from 'jose';
import { createAuthority } from '../../packages/server/src/identity/client-certificate/testing/authority.ts';

/**
 * A fake push service with its browsers: takes messages as RFC 8030 says, from whoever proves to be the server that the browser has subscribed with
 * (RFC 8292), and decrypts each with the browser's own key (RFC 8291). It delivers to nobody.
 */
export interface FakePushService {
  origin: string;
  /** Host and port. */
  host: string;
  /** PEM of whoever has signed its certificate. */
  ca: string;
  pushed: Pushed[];
  /** What it answers next time for a browser, in place of 201. */
  answers: Map<string, number>;
  /** A browser that subscribes with a server's key. */
  browser(applicationServerKey: string): FakeBrowser;
  close(): void;
}

export interface Pushed {
  endpoint: string;
  payload: Record<string, unknown>;
  /** As it came. */
  text: string;
  ttl: number;
  urgency: string;
  topic: string;
  /** Claims of the proof of who sends. */
  vapid: Record<string, unknown>;
}

export interface FakeBrowser {
  endpoint: string;
  keys: { p256dh: string; auth: string };
}

const MAX_BODY = 4_096;
const DAY_SECONDS = 86_400;

export async function startFakePushService(): Promise<FakePushService> {
  const authority = await createAuthority('push.test');
  const { cert, key } = await authority.issue({ dns: ['localhost'] });
  const browsers = new Map<string, { ecdh: ECDH; auth: Buffer; serverKey: string }>();
  const pushed: Pushed[] = [];
  const answers = new Map<string, number>();

  const server = createServer({ cert, key }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const endpoint = `${origin}${request.url}`;
    const browser = browsers.get(endpoint);
    const end = (status: number, why = '') => response.writeHead(status).end(why);
    if (!browser || request.method !== 'POST') return end(404);
    const answer = answers.get(endpoint);
    if (answer !== undefined) return end(answer);
    const { ttl, topic = '', urgency = 'normal', authorization = '' } = request.headers;
    if (!/^\d+$/.test(String(ttl))) return end(400, 'TTL');
    if (!/^[A-Za-z0-9_-]{0,32}$/.test(String(topic))) return end(400, 'Topic');
    if (request.headers['content-encoding'] !== 'aes128gcm') return end(415);
    if (body.length > MAX_BODY) return end(413);
    const vapid = await verifyVapid(authorization, origin, browser.serverKey).catch(() => undefined);
    if (!vapid) return end(403, 'VAPID');
    const text = decrypt(body, browser).toString();
    pushed.push({
      ...{ endpoint, text, payload: JSON.parse(text) as Record<string, unknown>, vapid },
      ...{ ttl: Number(ttl), urgency: String(urgency), topic: String(topic) },
    });
    response.writeHead(201, { location: `${origin}/message/${pushed.length}` }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  const origin = `https://${host}`;

  return {
    origin,
    host,
    ca: authority.root,
    pushed,
    answers,
    browser(serverKey) {
      const ecdh = createECDH('prime256v1');
      ecdh.generateKeys();
      const auth = randomBytes(16);
      const endpoint = `${origin}/push/${randomBytes(24).toString('base64url')}`;
      browsers.set(endpoint, { ecdh, auth, serverKey });
      return { endpoint, keys: { p256dh: ecdh.getPublicKey('base64url'), auth: auth.toString('base64url') } };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** RFC 8292: who sends holds the key that the browser has subscribed with, and means this service, today. */
export async function verifyVapid(authorization: string, audience: string, serverKey: string) {
  const [, token = '', given = ''] = /^vapid t=([\w.-]+), ?k=([\w-]+)$/.exec(authorization) ?? [];
  if (given !== serverKey) throw new Error('another key than the browser has subscribed with');
  const point = Buffer.from(given, 'base64url');
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
  const key = await importJWK({ kty: 'EC', crv: 'P-256', x, y } as never, 'ES256');
  const { payload } = await jwtVerify(token, key, { algorithms: ['ES256'], audience });
  if ((payload.exp ?? 0) > Date.now() / 1_000 + DAY_SECONDS) throw new Error('good for more than a day');
  if (!/^(mailto:|https:)/.test(payload.sub ?? '')) throw new Error('nobody to write to');
  return payload as Record<string, unknown>;
}

/** RFC 8291 §3.4 and RFC 8188 §2, for one record. */
export function decrypt(body: Buffer, { ecdh, auth }: { ecdh: ECDH; auth: Buffer }): Buffer {
  const salt = body.subarray(0, 16);
  const idLength = body[20] ?? 0;
  const serverPublic = body.subarray(21, 21 + idLength);
  const record = body.subarray(21 + idLength);
  const derive = (secret: Buffer, from: Buffer, info: Buffer, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, from, info, length));
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), ecdh.getPublicKey(), serverPublic]);
  const material = derive(ecdh.computeSecret(serverPublic), auth, info, 32);
  const contentKey = derive(material, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
  const nonce = derive(material, salt, Buffer.from('Content-Encoding: nonce\0'), 12);
  const decipher = createDecipheriv('aes-128-gcm', contentKey, nonce).setAuthTag(record.subarray(-16));
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
  const end = padded.findLastIndex((byte) => byte !== 0);
  if (padded[end] !== 2) throw new Error('not the last record');
  return padded.subarray(0, end);
}
