import { generateKeyPairSync, hash, sign, verify } from 'node:crypto';
import { setImmediate as macrotask } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { createAgentClient, supportTask } from '../packages/server/src/identity/testing/agent-client.ts';
import { openHouse } from '../packages/server/src/identity/testing/house.ts';
import {
  AGENT_ALGORITHMS,
  jwkThumbprint,
  publicKeyMembers,
  signCompactJws,
} from '../packages/server/src/identity/tokens/jws.ts';
import { GatehouseError, openListener } from '../packages/server/src/platform/index.ts';
import { type Measure, median, table } from './measure.ts';

export const measure: Measure = {
  heading: 'Verification of a call',
  options: { calls: '4000', rounds: '3' },
  async run({ calls, rounds }) {
    const bench = await prepare();
    try {
      const found = new Map<string, number[]>();
      for (let round = 0; round < Number(rounds); round++)
        for (const [name, { share, make }] of Object.entries(bench.ways)) {
          const count = Math.ceil(Number(calls) * share);
          const call = make(count, `${round}-${Math.random()}`);
          found.set(name, [...(found.get(name) ?? []), await cpuMicroseconds(count, call, bench.rest)]);
        }
      const rows = [...found].map(([what, all]) => ({ what, microseconds: median(all) }));
      return {
        rows,
        how: `Who calls: token, agent, task, chain, revocation, and what the token is bound to, from a request that is already there. CPU time of one process, which
other work on the machine does not change much; ${rounds} rounds, ${calls} calls and fewer of what is dear.`,
        tables: table(
          ['a call with', 'µs of CPU', 'calls per CPU second'],
          rows.map(({ what, microseconds }) => [what, microseconds.toFixed(1), Math.round(1e6 / microseconds)]),
        ),
      };
    } finally {
      await bench.close();
    }
  },
};

type Call = (index: number) => Promise<unknown> | unknown;

const SLICE = 50;

/** On a busy machine a replica loses touch for a moment, and then denies everything: such a slice is measured again. */
async function cpuMicroseconds(count: number, call: Call, rest: () => Promise<unknown>): Promise<number> {
  let total = 0;
  for (let index = 0; index < count; ) {
    await rest();
    await macrotask();
    const from = process.cpuUsage();
    let done = 0;
    try {
      for (const end = Math.min(count, index + SLICE); index < end; index++, done++) await call(index);
    } catch (error) {
      if (!(error instanceof GatehouseError) || error.code !== 'feed.stale') throw error;
    }
    const { user, system } = process.cpuUsage(from);
    if (done > 0) total += user + system;
  }
  return total / count;
}

async function prepare() {
  const house = await openHouse({ mutualTls: true });
  await house.furnish();
  const agent = await createAgentClient(house, await house.enrol('agent-a'));
  const bearer = await createAgentClient(house, await house.enrol('agent-bearer', { bearerOnly: true }));
  await house.settled();
  const bearerToken = (await bearer.post({ bearer: true })).body.access_token as string;
  await house.settled();
  const granted = await agent.startTask();
  const { task } = granted.authorization_details[0];

  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
  const mint = (claims: object) => {
    const { kid, key } = house.identity.keys.signer();
    return signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid }, claims, key);
  };
  const own = await house.authority.issue({ uris: ['spiffe://example.test/env/prod/agent/agent-a'] });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKeyMembers(publicKey.export({ format: 'jwk' }));
  if (typeof jwk === 'string') throw new Error(jwk);
  await house.settled();
  const claims = claimsOf((await agent.startTask({ type: supportTask.type, task } as never)).access_token);
  const keyBound = mint({ ...claims, cnf: { jkt: jwkThumbprint(jwk) } });
  const certificateBound = mint({ ...claims, cnf: { 'x5t#S256': own.thumbprint } });
  const { socket, close } = await connectionWith(own, house.authority.root);

  const url = house.resource;
  const proofOf = (jti: string) =>
    signCompactJws(
      { alg: AGENT_ALGORITHMS[0], typ: 'dpop+jwt', jwk },
      { jti, htm: 'POST', htu: url, iat: Math.floor(Date.now() / 1000), ath: hash('sha256', keyBound, 'base64url') },
      privateKey,
    );
  const { tokens, peers } = house.identity;
  const authenticate = (authorization: string, dpop?: string) =>
    tokens.authenticate({ authorization, dpop, method: 'POST', url });
  const overTls = async () =>
    tokens.authenticate({
      authorization: `Bearer ${certificateBound}`,
      dpop: undefined,
      method: 'POST',
      url,
      peer: await peers.of({ socket } as never),
    });
  const variants = (count: number, batch: string, of: object) =>
    Array.from({ length: count }, (_, at) => mint({ ...of, jti: `tok_${batch}${at}` }));
  const data = Buffer.alloc(300);
  const signature = sign('sha256', data, privateKey);

  const ways: Record<string, { share: number; make(count: number, batch: string): Call }> = {
    'a bearer token, seen before': { share: 5, make: () => () => authenticate(`Bearer ${bearerToken}`) },
    'a bearer token, at first sight': {
      share: 0.25,
      make(count, batch) {
        const all = variants(count, batch, claimsOf(bearerToken));
        return (index) => authenticate(`Bearer ${all[index]}`);
      },
    },
    'a token bound to a key, seen before, and its DPoP proof': {
      share: 0.5,
      make(count, batch) {
        const proofs = Array.from({ length: count }, (_, at) => proofOf(`${batch}${at}`));
        return (index) => authenticate(`DPoP ${keyBound}`, proofs[index]);
      },
    },
    'a token bound to a certificate, both seen before': { share: 2, make: () => overTls },
    'a token bound to a certificate, seen before, over a connection at first sight': {
      share: 0.1,
      make: () => () => {
        peers.forget();
        return overTls();
      },
    },
    '(one ES256 signature verified, and nothing else)': {
      share: 0.5,
      make: () => () => verify('sha256', data, publicKey, signature),
    },
  };
  return {
    ways,
    rest: house.settled,
    async close() {
      close();
      await house.close();
    },
  };
}

/** The server's end of a connection that a client has made with this certificate. */
async function connectionWith(own: { cert: string; key: string }, ca: string) {
  const accepted = Promise.withResolvers<TLSSocket>();
  const identity = { current: { certificate: own.cert, key: own.key }, refresh: async () => false };
  const listener = await openListener(
    { host: '127.0.0.1', port: 0, tls: { identity, clientCertificates: true } },
    (request) => accepted.resolve(request.socket as TLSSocket),
  );
  const { port } = listener.address;
  const client = connect({
    port,
    host: '127.0.0.1',
    ca,
    cert: own.cert,
    key: own.key,
    checkServerIdentity: () => undefined,
  });
  client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const socket = await accepted.promise;
  return {
    socket,
    close() {
      client.destroy();
      listener.close();
    },
  };
}
