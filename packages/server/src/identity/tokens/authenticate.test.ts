import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CompactSign, SignJWT } from 'jose';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { authenticate as authenticateAt, claimsOf, type Presented, refusalOf } from '../testing/calls.ts';
import { type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { signCompactJws } from './jws.ts';

/** @proves rfc9068.token, rfc9728.metadata */
let house: House;
let agent: EnrolledAgent;
let client: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await house.enrol('agent-support-prod');
  client = await createAgentClient(house, agent);
});
after(() => house.close());

const authenticate = (presented: Presented) => authenticateAt(house, presented);
const refusal = (presented: Presented) => refusalOf(house, presented);

async function withProof(token: string, options: { url?: string; method?: string } = {}): Promise<Presented> {
  const { url = house.resource, method = 'POST' } = options;
  return { authorization: `DPoP ${token}`, dpop: await client.proof(url, { token, method }), url, method };
}

describe('a token that others made', () => {
  let token: string;
  before(async () => {
    token = (await client.startTask()).access_token;
  });

  const segments = (text: string) => text.split('.') as [string, string, string];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const headerOf = (text: string) => JSON.parse(Buffer.from(segments(text)[0], 'base64url').toString());
  const refusedAs = async (text: string, code = 'token.invalid') => {
    const { code: found, challenge } = await refusal(await withProof(text));
    assert.equal(found, code);
    assert.match(challenge, /^Bearer error="invalid_token"/);
  };

  test('without a signature (alg none), in every spelling', async () => {
    const [, payload, signature] = segments(token);
    for (const alg of ['none', 'None', 'NONE', 'nOnE', ''])
      for (const kept of [signature, 'AAAA'])
        await refusedAs(`${encode({ ...headerOf(token), alg })}.${payload}.${kept}`);
    await refusedAs(`${encode({ ...headerOf(token), alg: 'none' })}.${payload}.`, 'token.invalid');
  });

  test('signed with our public key as a shared secret (algorithm confusion)', async () => {
    const [jwk] = house.identity.keys.jwks().keys;
    assert.ok(jwk?.kty === 'EC');
    const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    for (const secret of [pem.toString(), JSON.stringify(jwk), jwk.x])
      for (const alg of ['HS256', 'HS512'])
        await refusedAs(
          await new SignJWT(claimsOf(token))
            .setProtectedHeader({ alg, typ: 'at+jwt', kid: jwk.kid })
            .sign(Buffer.from(secret.padEnd(64, ' '))),
        );
  });

  test('signed with a key of its own, named, embedded or linked to', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { kid } = headerOf(token);
    const jwk = publicKey.export({ format: 'jwk' });
    for (const header of [
      { kid },
      { kid: undefined },
      { kid: '../../keys/key-encryption.key' },
      { kid: "x' union select public_jwk from signing_keys --" },
      { kid: 7 },
      { kid, jwk },
      { kid, jku: 'https://evil.example/jwks' },
      { kid, x5c: ['AAAA'] },
    ])
      await refusedAs(signCompactJws({ alg: 'ES256', typ: 'at+jwt', ...header }, claimsOf(token), privateKey));
  });

  test('signed with our key, but of another type or with claims that no token of ours has', async () => {
    const { key, kid } = house.identity.keys.signer();
    const claims = claimsOf(token);
    const { sub, ...withoutSubject } = claims;
    const cases: [object, object][] = [
      [{ typ: 'JWT' }, claims],
      [{ typ: 'application/at+jwt' }, claims],
      [{ typ: undefined }, claims],
      [{ crit: ['exp'] }, claims],
      [{}, { ...claims, iss: 'https://other.example' }],
      [{}, { ...claims, aud: [claims.aud] }],
      [{}, { ...claims, aud: undefined }],
      [{}, { ...claims, admin: true }],
      [{}, { ...claims, act: { sub: 'someone' } }],
      [{}, withoutSubject],
      [{}, { ...claims, exp: String(claims.exp) }],
      [{}, { ...claims, exp: claims.iat + 86_400 }],
      [{}, { ...claims, iat: claims.iat + 3_600, exp: claims.iat + 3_700 }],
    ];
    for (const [header, payload] of cases)
      await refusedAs(signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid, ...header }, payload, key));
    const { cnf, ...unbound } = claims;
    assert.ok(cnf);
    await refusedAs(signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid }, unbound, key), 'token.unbound');
    const other = await house.enrol('agent-other-prod');
    const { id: task } = await house.registry.startTask(other.name, { ...supportTask, type: 'urn:gatehouse:task' });
    const gatehouse = { ...claims.gatehouse, task };
    await refusedAs(signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid }, { ...claims, gatehouse }, key), 'task.over');
    await refusedAs(
      signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid }, { ...claims, sub: sub.replace('prod', 'dev') }, key),
      'agent.unknown',
    );
    await refusedAs(
      signCompactJws({ alg: 'ES256', typ: 'at+jwt', kid }, { ...claims, client_id: 'agent-support-рrod' }, key),
      'agent.unknown',
    );
  });

  test('by another Gatehouse', async () => {
    const elsewhere = await openHouse();
    try {
      await elsewhere.furnish();
      const its = await createAgentClient(elsewhere, await elsewhere.enrol('agent-support-prod'));
      await refusedAs((await its.startTask()).access_token);
    } finally {
      await elsewhere.close();
    }
  });

  test('or that is no token: other text, other encodings, 10 MB of it', async () => {
    const [header, payload, signature] = segments(token);
    for (const text of [
      'x',
      '..',
      `${header}.${payload}`,
      `${header}.${payload}.${signature}.`,
      `${header}.${payload}.${signature}.${signature}.${signature}`,
      `${header}.${payload}.${signature}=`,
      'A'.repeat(5_000),
    ])
      assert.match((await refusal(await withProof(text))).code, /^token\.(invalid|malformed)$/);
    const { code } = await refusal({ authorization: `DPoP ${'A'.repeat(10_000_000)}` });
    assert.equal(code, 'token.malformed');
  });
});

describe('how a token is presented', () => {
  test('not at all: the challenge says where to begin, without an error', async () => {
    const { code, challenge } = await refusal({});
    assert.equal(code, 'token.missing');
    assert.doesNotMatch(challenge, /error=/);
  });

  test('the challenge points to the metadata of the address that was called', async () => {
    const { challenge } = await refusal({ url: `${house.resource}/shop?x=1` });
    assert.ok(challenge.includes('/.well-known/oauth-protected-resource/mcp/shop"'));
    const { challenge: other } = await refusal({ url: `${house.publicUrl}/other` });
    assert.ok(other.includes('/.well-known/oauth-protected-resource/mcp"'));
  });

  test('in an Authorization header of another form', async () => {
    const { access_token: token } = await client.startTask();
    for (const authorization of [
      token,
      `Basic ${token}`,
      `DPoP`,
      `DPoP `,
      `DPoP ${token} ${token}`,
      `DPoP ${token},${token}`,
      `DPoP\t${token}`,
      `DPoP "${token}"`,
      `Bearer ${token}, DPoP ${token}`,
    ])
      assert.equal((await refusal({ authorization })).code, 'token.malformed');
  });

  test('in any case of the scheme, and by a path in place of the whole address', async () => {
    const { access_token: token } = await client.startTask();
    await authenticate({ ...(await withProof(token)), authorization: `dpop ${token}` });
    await authenticate({ ...(await withProof(token)), url: '/mcp' });
  });

  test('as Bearer although it is bound to a key, with or without a proof', async () => {
    const { access_token: token } = await client.startTask();
    const presented = { ...(await withProof(token)), authorization: `Bearer ${token}` };
    assert.equal((await refusal(presented)).code, 'token.scheme');
    assert.equal((await refusal({ authorization: `Bearer ${token}` })).code, 'token.scheme');
  });

  test('without a proof', async () => {
    const { access_token: token } = await client.startTask();
    const { code, challenge } = await refusal({ authorization: `DPoP ${token}` });
    assert.equal(code, 'proof.missing');
    assert.match(challenge, /^DPoP error="invalid_dpop_proof"/);
  });
});

describe('a stolen token', () => {
  test('is useless with another key', async () => {
    const { access_token: token } = await client.startTask();
    const thief = await createAgentClient(house, await house.enrol('agent-thief'));
    const dpop = await thief.proof(house.resource, { token });
    assert.equal((await refusal({ authorization: `DPoP ${token}`, dpop })).code, 'token.other-key');
  });

  test('is useless with the proof it was stolen with', async () => {
    const { access_token: token } = await client.startTask();
    const presented = await withProof(token);
    await authenticate(presented);
    assert.equal((await refusal(presented)).code, 'proof.replayed');
  });

  test('is useless with a proof for another method, address or token', async () => {
    const { access_token: token } = await client.startTask();
    const { access_token: second } = await client.startTask();
    const proofs = [
      await client.proof(house.resource, { token, method: 'GET' }),
      await client.proof(`${house.resource}/shop`, { token }),
      await client.proof(house.resource, { token: second }),
      await client.proof(house.resource),
    ];
    for (const dpop of proofs)
      assert.equal((await refusal({ authorization: `DPoP ${token}`, dpop })).code, 'proof.invalid');
  });

  test('cannot be made to fit by changing the proof', async () => {
    const { access_token: token } = await client.startTask();
    const proof = await client.proof(house.resource, { token });
    const [header = '', payload = ''] = proof.split('.');
    const thief = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = await new CompactSign(Buffer.from(payload, 'base64url'))
      .setProtectedHeader(JSON.parse(Buffer.from(header, 'base64url').toString()))
      .sign(thief.privateKey);
    assert.equal((await refusal({ authorization: `DPoP ${token}`, dpop: forged })).code, 'proof.invalid');
  });
});

describe('audience', () => {
  test('a token for one address opens that address only; a token for all opens all', async () => {
    const shop = `${house.resource}/shop`;
    const { access_token: narrow } = await client.startTask(supportTask, shop);
    assert.equal(claimsOf(narrow).aud, shop);
    assert.equal((await authenticate(await withProof(narrow, { url: shop }))).agent, agent.name);
    for (const url of [house.resource, `${house.resource}/other`, `${house.resource}/shop-2`, `${shop}/x`]) {
      const { code } = await refusal(await withProof(narrow, { url }));
      assert.equal(code, 'token.audience', url);
    }
    // What is asked of its own task is no resource: whoever has no other token can end it.
    for (const [path, method] of [
      ['/task', 'GET'],
      ['/task/end', 'POST'],
    ] as const)
      await authenticate(await withProof(narrow, { url: house.publicUrl + path, method }));
    assert.equal(
      (await refusal(await withProof(narrow, { url: `${house.publicUrl}/task/other` }))).code,
      'token.audience',
    );
    const { access_token: wide } = await client.startTask();
    for (const url of [house.resource, shop]) await authenticate(await withProof(wide, { url }));
  });
});

test('a remembered token is remembered by its whole text: one other character, and it is verified again', async () => {
  const { access_token: token } = await client.startTask();
  await authenticate(await withProof(token));
  const last = token.length - 10;
  const changed = `${token.slice(0, last)}${token[last] === 'A' ? 'B' : 'A'}${token.slice(last + 1)}`;
  assert.equal((await refusal(await withProof(changed))).code, 'token.invalid');
});
