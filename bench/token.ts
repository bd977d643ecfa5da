import { randomUUID } from 'node:crypto';
import * as dpop from 'dpop';
import { importJWK, type JWK, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { type Measure, median, quantile, table } from './measure.ts';
import { startTarget, usageOf } from './processes.ts';

interface Told {
  url: string;
  mutualTlsUrl: string;
  task: string;
  key: JWK;
  svid: { cert: string; key: string; ca: string };
}

interface Prepared {
  url: string;
  dispatcher: Agent;
  requests: { body: string; headers: Record<string, string> }[];
}

interface Row {
  target: string;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Of the server's process, for each token. */
  cpuMs: number;
}

export const measure: Measure = {
  heading: 'Tokens',
  options: { requests: '500', rounds: '3', concurrency: '1,32' },
  async run({ requests, rounds, concurrency = '' }) {
    const server = await startTarget('tokens');
    try {
      const told = JSON.parse(server.line) as Told;
      const ways = waysOf(told, Number(requests));
      const found = new Map<string, Row[]>();
      for (let round = 0; round < Number(rounds); round++)
        for (const atOnce of concurrency.split(',').map(Number))
          for (const [target, prepare] of Object.entries(ways)) {
            const key = `${target}\n${atOnce}`;
            const row = { target, ...(await send(await prepare(atOnce), atOnce, () => usageOf(server.child).cpuMs)) };
            found.set(key, [...(found.get(key) ?? []), row]);
          }
      const rows = [...found].map(([key, all]) => {
        const [target = '', atOnce = ''] = key.split('\n');
        const of = (member: Exclude<keyof Row, 'target'>) => median(all.map((row) => row[member]));
        return {
          target,
          atOnce: Number(atOnce),
          perSecond: of('perSecond'),
          p50Ms: of('p50Ms'),
          p99Ms: of('p99Ms'),
          cpuMs: of('cpuMs'),
        };
      });
      return {
        rows,
        how: `Token requests for a running task; server and client are processes of their own on these cores, SQLite, every token recorded (fsync) before it is
given out. Assertions and proofs are made before the clock starts. ${requests} requests a round, ${rounds} rounds.`,
        tables: table(
          ['the agent proves itself with', 'at once', 'tokens/s', 'p50 ms', 'p99 ms', 'CPU ms of the server'],
          rows.map((row) => [
            row.target,
            row.atOnce,
            Math.round(row.perSecond),
            row.p50Ms.toFixed(2),
            row.p99Ms.toFixed(2),
            row.cpuMs.toFixed(2),
          ]),
        ),
      };
    } finally {
      await server.stop();
    }
  },
};

function waysOf({ url, mutualTlsUrl, task, key, svid }: Told, count: number) {
  const form = (more: Record<string, string>) =>
    new URLSearchParams({
      grant_type: 'client_credentials',
      authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', task }]),
      resource: `${url}/mcp`,
      ...more,
    }).toString();
  const bySvid = (options: Agent.Options): Prepared => ({
    url: `${mutualTlsUrl}/oauth/token`,
    dispatcher: new Agent({ connect: svid, ...options }),
    requests: Array.from({ length: count }, () => ({ body: form({ client_id: 'agent-bench' }), headers: {} })),
  });
  return {
    async 'private_key_jwt and DPoP'(atOnce: number): Promise<Prepared> {
      const [signer, proofKeys] = [await importJWK(key, 'ES256'), await dpop.generateKeyPair('ES256')];
      const requests = Array.from({ length: count }, async () => {
        const assertion = await new SignJWT({ jti: randomUUID() })
          .setProtectedHeader({ alg: 'ES256' })
          .setIssuer('agent-bench')
          .setSubject('agent-bench')
          .setAudience(url)
          .setIssuedAt()
          .setExpirationTime('60s')
          .sign(signer);
        const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
        return {
          body: form({ client_assertion_type: type, client_assertion: assertion }),
          headers: { dpop: await dpop.generateProof(proofKeys, `${url}/oauth/token`, 'POST') },
        };
      });
      return {
        url: `${url}/oauth/token`,
        dispatcher: new Agent({ connections: atOnce }),
        requests: await Promise.all(requests),
      };
    },
    'an X.509-SVID, connections kept': async (atOnce: number) => bySvid({ connections: atOnce }),
    'an X.509-SVID, a connection for each': async (atOnce: number) => bySvid({ connections: atOnce, pipelining: 0 }),
  };
}

async function send(
  { url, dispatcher, requests }: Prepared,
  atOnce: number,
  cpuMsOfServer: () => number,
): Promise<Omit<Row, 'target'>> {
  const post = async ({ body, headers }: Prepared['requests'][number]) => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const response = await request(url, { method: 'POST', headers: { ...type, ...headers }, body, dispatcher });
    const text = await response.body.text();
    if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode} ${text}`);
  };
  const warmUp = Math.min(20, Math.floor(requests.length / 10));
  for (const first of requests.slice(0, warmUp)) await post(first);
  const left = requests.slice(warmUp).values();
  const times: number[] = [];
  const [began, cpuBefore] = [performance.now(), cpuMsOfServer()];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const each of left) {
        const from = performance.now();
        await post(each);
        times.push(performance.now() - from);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  await dispatcher.close();
  times.sort((a, b) => a - b);
  const cpuMs = (cpuMsOfServer() - cpuBefore) / times.length;
  return { perSecond: times.length / seconds, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99), cpuMs };
}
