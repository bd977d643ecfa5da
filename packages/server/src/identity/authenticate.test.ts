import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CompactSign, SignJWT } from 'jose';
import { GatehouseError } from '../platform/index.ts';
import { signCompactJws } from './jws.ts';
import { type AgentClient, createAgentClient, supportTask } from './testing/agent-client.ts';
import { agentManifest, type EnrolledAgent, type House, openHouse } from './testing/house.ts';

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

const owner = 'person:owner@example.test';

interface Presented {
  authorization?: string | undefined;
  dpop?: string | undefined;
  method?: string;
  url?: string;
}

const authenticate = (presented: Presented, at = house) =>
  at.identity.tokens.authenticate({
    authorization: undefined,
    dpop: undefined,
    method: 'POST',
    url: house.resource,
    ...presented,
  });

/** The refusal of a call, with its challenge in the form of RFC 6750, RFC 9449 and RFC 9728. */
async function refusal(presented: Presented): Promise<{ code: string; challenge: string; message: string }> {
  const error = await authenticate(presented).then(
    () => assert.fail('the call was let in'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof GatehouseError, String(error));
  assert.equal(error.status, 401);
  const challenge = error.extra.challenge as string;
  assert.match(challenge, /^(Bearer|DPoP) /);
  assert.ok(challenge.includes(`resource_metadata="${house.publicUrl}/.well-known/oauth-protected-resource/mcp`));
  assert.match(challenge, /DPoP [^,]*(, error_description="[^"]*", )?algs="ES256 EdDSA Ed25519"/);
  return { code: error.code, challenge, message: error.message };
}

async function withProof(token: string, options: { url?: string; method?: string } = {}): Promise<Presented> {
  const { url = house.resource, method = 'POST' } = options;
  return { authorization: `DPoP ${token}`, dpop: await client.proof(url, { token, method }), url, method };
}

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());

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
    assert.ok(jwk);
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
    const { access_token: wide } = await client.startTask();
    for (const url of [house.resource, shop]) await authenticate(await withProof(wide, { url }));
  });
});

describe('what ends a token before its time, at the next call', () => {
  const start = async (name: string) => {
    const its = await createAgentClient(house, await house.enrol(name));
    const { access_token: token, authorization_details } = await its.startTask();
    const call = async () => ({
      authorization: `DPoP ${token}`,
      dpop: await its.proof(house.resource, { token }),
    });
    await authenticate(await call());
    return { call, token, its, task: authorization_details[0].task };
  };

  test('suspension, and kill', async () => {
    for (const [name, killed, code] of [
      ['agent-suspended', false, 'agent.suspended'],
      ['agent-killed', true, 'agent.killed'],
    ] as const) {
      const { call } = await start(name);
      await house.registry.setAgentState(name, 'suspended', owner, { killed });
      await house.settled();
      assert.equal((await refusal(await call())).code, code);
    }
  });

  test('suspension and reactivation: the epoch has moved on, and the old token stays dead', async () => {
    const { call, its } = await start('agent-woken');
    await house.registry.setAgentState('agent-woken', 'suspended', owner);
    await house.registry.setAgentState('agent-woken', 'active', owner);
    await house.settled();
    assert.match((await refusal(await call())).code, /token\.stale|task\.over/);
    const { access_token: token } = await its.startTask();
    await authenticate({ authorization: `DPoP ${token}`, dpop: await its.proof(house.resource, { token }) });
  });

  test('the end of its task', async () => {
    const { call, task } = await start('agent-done');
    await house.registry.endTask(task, owner);
    await house.settled();
    assert.equal((await refusal(await call())).code, 'task.over');
  });

  test('the change of a bearer-only agent to one that must use DPoP', async () => {
    const enrolled = await house.enrol('agent-bearer', { bearerOnly: true });
    const its = await createAgentClient(house, enrolled);
    const { body } = await its.post({ bearer: true });
    const authorization = `Bearer ${body.access_token}`;
    const caller = await authenticate({ authorization });
    assert.equal(caller.proofKey, null);
    assert.equal((await refusal({ authorization: `DPoP ${body.access_token}` })).code, 'token.scheme');
    await house.furnish(agentManifest('agent-bearer', { keys: [enrolled.publicJwk], bearerOnly: false }));
    assert.match((await refusal({ authorization })).code, /token\.(unbound|stale)/);
  });

  test('the destruction of the key that signed it', async () => {
    const { call, its } = await start('agent-rotated');
    await house.identity.keys.rotate({ by: owner });
    await authenticate(await call());
    await house.identity.keys.rotate({ by: owner, compromised: true });
    assert.equal((await refusal(await call())).code, 'token.invalid');
    const { access_token: token } = await its.startTask();
    await authenticate({ authorization: `DPoP ${token}`, dpop: await its.proof(house.resource, { token }) });
  });

  test('a replica that has lost touch with the workspace lets nobody in', async () => {
    const deaf = await openHouse();
    try {
      await deaf.furnish();
      const its = await createAgentClient(deaf, await deaf.enrol('agent-support-prod'));
      const { access_token: token } = await its.startTask();
      const call = async () => ({
        authorization: `DPoP ${token}`,
        dpop: await its.proof(deaf.resource, { token }),
        url: deaf.resource,
      });
      await authenticate(await call(), deaf);
      await deaf.stopFeed();
      const { status, body } = await its.post();
      assert.deepEqual([status, body.error], [503, 'temporarily_unavailable']);
      await assert.rejects(
        call().then((presented) => authenticate(presented, deaf)),
        { code: 'feed.stale' },
      );
    } finally {
      await deaf.close();
    }
  });
});

describe('time', () => {
  test('a token ends to the second', async () => {
    const { access_token: token, expires_in } = await client.startTask({
      ...supportTask,
      template: 'short',
      parameters: {},
    });
    const { exp } = claimsOf(token);
    assert.ok(expires_in <= 60);
    // Proofs are made by the machine's clock; a nonce makes up for the difference.
    house.pass(exp * 1000 - house.clock.now() + 1);
    try {
      const { code } = await refusal(await withProof(token));
      assert.equal(code, 'token.expired');
    } finally {
      house.pass(Date.now() - house.clock.now());
    }
  });

  test('a proof of a client whose clock is wrong is answered with a nonce that makes it good', async () => {
    const slow = await openHouse();
    try {
      await slow.furnish();
      const its = await createAgentClient(slow, await slow.enrol('agent-slow-clock'));
      slow.pass(120_000);
      await slow.settled();
      const { access_token } = await its.startTask();
      const first = await its.call(access_token).catch((error: Error) => error);
      const second = first instanceof Error ? await its.call(access_token) : first;
      assert.equal(second.status, 200);
    } finally {
      await slow.close();
    }
  });

  test('where every proof needs a nonce, a foreign client gets through by itself', async () => {
    const strict = await openHouse({ requireProofNonce: true });
    try {
      await strict.furnish();
      const its = await createAgentClient(strict, await strict.enrol('agent-nonce'));
      const { access_token } = await its.startTask();
      const first = await its.call(access_token).catch((error: Error) => error);
      const second = first instanceof Error ? await its.call(access_token) : first;
      assert.equal(second.status, 200);
    } finally {
      await strict.close();
    }
  });
});

test('a remembered token is remembered by its whole text: one other character, and it is verified again', async () => {
  const { access_token: token } = await client.startTask();
  await authenticate(await withProof(token));
  const last = token.length - 10;
  const changed = `${token.slice(0, last)}${token[last] === 'A' ? 'B' : 'A'}${token.slice(last + 1)}`;
  assert.equal((await refusal(await withProof(changed))).code, 'token.invalid');
});
