import { generateKeyPairSync, hash, type KeyObject, sign, verify } from 'node:crypto';
import { setImmediate as macrotask } from 'node:timers/promises';
import { AGENT_ALGORITHMS, jwkThumbprint, publicKeyMembers, signCompactJws } from '../tokens/jws.ts';
import { createAgentClient, supportTask } from './agent-client.ts';
import { openHouse } from './house.ts';

/** How many calls one core authenticates per second. Run: node packages/server/src/identity/testing/authenticate.bench.ts */
const CALLS = 20_000;
const TOKEN_REQUESTS = 300;
const ROUNDS = 3;

const house = await openHouse();
await house.furnish();
const agent = await createAgentClient(house, await house.enrol('agent-dpop'));
const bearer = await createAgentClient(house, await house.enrol('agent-bearer', { bearerOnly: true }));
const bearerToken = (await bearer.post({ bearer: true })).body.access_token as string;
const { task } = (await agent.startTask()).authorization_details[0];

const url = house.resource;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = publicKeyMembers(publicKey.export({ format: 'jwk' }));
if (typeof jwk === 'string') throw new Error(jwk);

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
const signer = () => house.identity.keys.signer();
const mint = (claims: object) =>
  signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid: signer().kid }, claims, signer().key);
const boundToken = mint({
  ...claimsOf((await agent.startTask({ type: supportTask.type, task })).access_token),
  cnf: { jkt: jwkThumbprint(jwk) },
});
const ath = hash('sha256', boundToken, 'base64url');
const proof = (jti: string) =>
  signCompactJws(
    { alg: AGENT_ALGORITHMS[0], typ: 'dpop+jwt', jwk },
    { jti, htm: 'POST', htu: url, iat: Math.floor(Date.now() / 1000), ath },
    privateKey,
  );

async function measure(name: string, calls: number, call: (index: number) => Promise<unknown> | unknown) {
  const cpu = process.cpuUsage();
  for (let index = 0; index < calls; index++) {
    await call(index);
    // Lets the change feed be heard: a replica that never listens denies everything.
    if (index % 1_000 === 999) await macrotask();
  }
  const { user, system } = process.cpuUsage(cpu);
  console.log(`${name.padEnd(44)} ${Math.round(calls / ((user + system) / 1e6)).toLocaleString('en')} per CPU second`);
}

const request = (authorization: string, dpop?: string) =>
  house.identity.tokens.authenticate({ authorization, dpop, method: 'POST', url });
const baseline = (key: KeyObject) => {
  const data = Buffer.alloc(300);
  const signature = sign('sha256', data, privateKey);
  return () => verify('sha256', data, key, signature);
};

console.log(`node ${process.version}, ${house.storage.dialect}; the medians of ${ROUNDS} rounds are what counts`);
for (let round = 0; round < ROUNDS; round++) {
  const batch = `${round}-${Math.random()}`;
  const proofs = Array.from({ length: CALLS }, (_, index) => proof(`${batch}-${index}`));
  const tokens = Array.from({ length: CALLS / 4 }, (_, index) =>
    mint({ ...claimsOf(bearerToken), jti: `tok_${batch}${index}` }),
  );
  await measure('Bearer, token seen before', CALLS * 5, () => request(`Bearer ${bearerToken}`));
  await measure('Bearer, token never seen', tokens.length, (index) => request(`Bearer ${tokens[index]}`));
  await measure('DPoP, token seen before, proof checked', CALLS, (index) =>
    request(`DPoP ${boundToken}`, proofs[index]),
  );
  await measure('(bare ES256 verification)', CALLS, baseline(publicKey));
  await measure('token request over HTTP, with its client', TOKEN_REQUESTS, () => agent.post());
}
await house.close();
