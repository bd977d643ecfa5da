import assert from 'node:assert/strict';
import { createHmac, createPublicKey } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import { exportSPKI, generateKeyPair } from 'jose';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import { examine } from './match.ts';
import { OUTSIDE_ALGORITHMS } from './outside-token.ts';
import { createTurns } from './turns.ts';

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Another signature of the same text by the same key, made by somebody who does not have it: (r, n - s). */
function mirrored(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url').toString('hex');
  const other = (order - BigInt(`0x${bytes.slice(64)}`)).toString(16).padStart(64, '0');
  return [header, payload, Buffer.from(bytes.slice(0, 64) + other, 'hex').toString('base64url')].join('.');
}

describe('a hostile token', () => {
  let house: House;
  let issuer: ForeignIssuer;
  before(async () => {
    house = await openHouse();
    issuer = await openForeignIssuer(house.publicUrl);
    await house.furnish();
    const rule: Manifest = {
      kind: 'TrustRule',
      name: 'runs',
      issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
      claims: { sub: 'run' },
      agent: 'agent-ci-prod',
      state: 'active',
    };
    await house.apply(agentManifest('agent-ci-prod'), rule);
  });
  after(async () => {
    await issuer.close();
    await house.close();
  });

  const vouch = (token: string) => house.identity.federation.vouch({ token });
  const claims = (change: Record<string, unknown> = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return { iss: issuer.url, aud: house.publicUrl, sub: 'run', iat: now, exp: now + 300, ...change };
  };
  const now = () => Math.floor(Date.now() / 1000);

  test('is told from a good one: the good one is taken', async () => {
    assert.equal((await vouch(await issuer.sign({ sub: 'run' }))).rule.agent, 'agent-ci-prod');
  });

  /** @proves federation.unavailable */
  test('of a federated trust domain that was never reached is not refused for good', async () => {
    await house.apply(
      { kind: 'TrustDomain', name: 'gone.test', bundleUrl: 'https://127.0.0.1:1/', allowPrivateAddress: true },
      {
        kind: 'TrustRule',
        name: 'gone',
        issuer: { type: 'spiffe', trustDomain: 'gone.test' },
        claims: { sub: 'spiffe://gone.test/a' },
        agent: 'agent-ci-prod',
        state: 'active',
      },
    );
    await house.identity.trustDomain.tick();
    await assert.rejects(vouch(await issuer.sign({ sub: 'spiffe://gone.test/a' })), {
      kind: 'unavailable',
      code: 'trust.unavailable',
    });
    await assert.rejects(vouch(await issuer.sign({ sub: 'spiffe://stranger.test/a' })), { code: 'trust.no-match' });
  });

  describe('that more than one rule fits', () => {
    /** As nobody can apply it: as the rules of two replicas might be for a moment, or of an older version. */
    async function insert(name: string, change: object): Promise<void> {
      const manifest = {
        kind: 'TrustRule',
        name,
        issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
        claims: { sub: 'both' },
        agent: 'agent-ci-prod',
        state: 'active',
        ...change,
      };
      const body = JSON.stringify({ manifest, appliedBy: 'gatehouse' });
      await house.storage.transaction(async (transaction) => {
        const row = { kind: 'TrustRule', name, body, updated_at: house.clock.now() };
        await transaction.insertInto('objects').values(row).execute();
        await house.storage.announce(transaction, 'object', `TrustRule/${name}`, house.clock.now());
      });
      await house.settled();
    }
    async function remove(...names: string[]): Promise<void> {
      await house.storage.transaction(async (transaction) => {
        await transaction.deleteFrom('objects').where('kind', '=', 'TrustRule').where('name', 'in', names).execute();
        for (const name of names)
          await house.storage.announce(transaction, 'object', `TrustRule/${name}`, house.clock.now());
      });
      await house.settled();
    }
    const use = (token: string, key: string) =>
      vouch(token).then((found) => house.storage.transaction((transaction) => found.use(transaction, key)));

    /** @proves federation.exclusive */
    test('stands for nobody where they name different principals, says so to an operator, and is recorded', async () => {
      await house.apply(agentManifest('agent-other-prod'));
      await insert('one', {});
      await insert('two', { agent: 'agent-other-prod' });
      const token = await issuer.sign({ sub: 'both' });
      await assert.rejects(vouch(token), { code: 'trust.ambiguous' });
      const { match, problem } = await house.identity.federation.explain({ token });
      assert.equal(match, null);
      assert.match(String(problem), /Ambiguous: one and two/);
      const [record] = (await house.records('trust.ambiguous')).slice(-1);
      assert.match(record?.changes.join() ?? '', /rules: one, two/);
      await remove('one', 'two');
    });

    test('is taken again with its key only where all of them say so', async () => {
      await insert('one', { reuse: 'same-key' });
      await insert('two', { reuse: 'same-key' });
      const often = await issuer.sign({ sub: 'both' });
      await use(often, 'key 1');
      await use(often, 'key 1');
      await assert.rejects(use(often, 'key 2'), { code: /outside-token/ });
      await remove('two');
      await insert('two', { reuse: 'once' });
      const once = await issuer.sign({ sub: 'both' });
      await use(once, 'key 1');
      await assert.rejects(use(once, 'key 1'), { code: 'outside-token.used' });
      await remove('one', 'two');
    });
  });

  /** @proves federation.algorithms */
  test('without a signature, or with an HMAC by the public key of the issuer, is refused', async () => {
    assert.ok(!OUTSIDE_ALGORITHMS.some((algorithm) => /^(HS|none)/i.test(algorithm)));
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      await assert.rejects(vouch(`${encode({ alg })}.${encode(claims())}.`), { kind: 'forbidden' });
      await assert.rejects(vouch(`${encode({ alg })}.${encode(claims())}.AAAA`), { code: 'outside-token.algorithm' });
    }
    const jwk = issuer.publicJwks().keys.find(({ alg }) => alg === 'RS256');
    const pem = createPublicKey({ key: jwk as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    for (const secret of [pem, JSON.stringify(jwk), String((jwk as { n?: string }).n)]) {
      const head = `${encode({ alg: 'HS256', kid: 'rs256' })}.${encode(claims())}`;
      const mac = createHmac('sha256', secret).update(head).digest('base64url');
      await assert.rejects(vouch(`${head}.${mac}`), { code: 'outside-token.algorithm' });
    }
    const swapped = await issuer.sign({ sub: 'run' }, { alg: 'ES256', header: { kid: 'rs256' } });
    await assert.rejects(vouch(swapped), { code: 'trust.no-match' });
  });

  test('of another type is refused', async () => {
    for (const typ of ['dpop+jwt', 'logout+jwt', 'oauth-id-jag+jwt', 'secevent+jwt', 'JWS', ''])
      await assert.rejects(vouch(await issuer.sign({ sub: 'run' }, { header: { typ } })), {
        code: 'outside-token.type',
      });
    for (const header of [{ crit: ['exp'], exp: 1 }, { crit: [] }, { b64: false }])
      await assert.rejects(vouch(`${encode({ alg: 'RS256', ...header })}.${encode(claims())}.AAAA`), {
        code: 'outside-token.critical',
      });
  });

  /** @proves federation.keys-from-issuer */
  test('never brings its own key, nor the address of one: nothing but the issuer is asked', async () => {
    const pair = await generateKeyPair('RS256', { extractable: true });
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const evil = 'http://127.0.0.1:9/evil.json';
    const before = issuer.requests.length;
    for (const header of [
      { jwk },
      { jwk, kid: undefined },
      { jku: evil },
      { x5u: evil },
      { x5c: [encode(await exportSPKI(pair.publicKey))] },
      { kid: '../../../../dev/null' },
      { kid: "' OR 1=1 --" },
      { kid: 'http://127.0.0.1:9/key' },
    ])
      await assert.rejects(vouch(await issuer.sign({ sub: 'run' }, { key: pair.privateKey, header })), {
        code: 'trust.no-match',
      });
    assert.deepEqual(
      [...new Set(issuer.requests.slice(before))].filter((url) => !/^\/(\.well-known|jwks)/.test(url)),
      [],
    );
    await assert.rejects(vouch(await issuer.sign({ sub: 'run' }, { header: { kid: 'k'.repeat(300) } })), {
      code: 'outside-token.key-id',
    });
    // The issuer's own signature is not spoilt by a header that is never looked at.
    assert.ok(await vouch(await issuer.sign({ sub: 'run' }, { header: { jku: evil } })));
  });

  test('with a name twice, or that is no strict JSON, is refused before its signature is looked at', async () => {
    const twice = (payload: string) => `${encode({ alg: 'RS256', kid: 'rs256' })}.${encode(payload)}.AAAA`;
    const text = JSON.stringify(claims());
    for (const payload of [
      `${text.slice(0, -1)},"sub":"run"}`,
      `${text}x`,
      '[]',
      'null',
      `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`,
    ])
      await assert.rejects(vouch(twice(payload)), { code: 'outside-token.malformed' });
    const header = `${Buffer.from('{"alg":"RS256","alg":"none"}').toString('base64url')}.${encode(claims())}.AAAA`;
    await assert.rejects(vouch(header), { code: 'outside-token.malformed' });
    for (const text of ['', '.', '..', 'a.b', 'a.b.c.d', 'a b.c.d', `${encode({ alg: 'RS256' })}.=.=`])
      await assert.rejects(vouch(text), { code: 'outside-token.malformed' });
  });

  test('outside of its time is refused; a clock that is off by a minute is forgiven', async () => {
    const reject = async (change: Record<string, unknown>) =>
      assert.rejects(
        vouch(await issuer.sign({ sub: 'run', ...change })),
        { code: 'trust.no-match' },
        JSON.stringify(change),
      );
    for (const change of [
      { exp: now() - 61 },
      { exp: undefined },
      { exp: '9999999999' },
      { exp: null },
      { nbf: now() + 90 },
      { nbf: 'soon' },
      { iat: now() + 90 },
      { iat: undefined },
      { iat: now() - 3_700, exp: now() + 300 },
      { iat: -1 },
      { exp: -1e300 },
      { iat: -1e300 },
      { iat: 1e300 },
    ])
      await reject(change);
    for (const change of [{ exp: now() - 30 }, { nbf: now() + 30 }, { iat: now() + 30 }])
      assert.ok(await vouch(await issuer.sign({ sub: 'run', ...change })), JSON.stringify(change));
  });

  /** @proves federation.audience */
  test('for another audience, or for several, is refused', async () => {
    for (const aud of [
      'https://other.example',
      [house.publicUrl, 'https://other.example'],
      [house.publicUrl, house.publicUrl],
      [],
      undefined,
      `${house.publicUrl}/`,
      { 0: house.publicUrl },
      house.publicUrl.toUpperCase(),
    ])
      await assert.rejects(
        vouch(await issuer.sign({ sub: 'run', aud })),
        { code: 'trust.no-match' },
        JSON.stringify(aud),
      );
    assert.ok(await vouch(await issuer.sign({ sub: 'run', aud: [house.publicUrl] })));
  });

  /** @proves federation.single-use */
  test('that was used is not a new one because its signature was written in another way', async () => {
    const token = await issuer.sign({ sub: 'run', jti: undefined }, { alg: 'ES256' });
    const use = async (text: string, key: string) => {
      const vouched = await vouch(text);
      await house.storage.transaction((transaction) => vouched.use(transaction, key));
    };
    await use(token, 'the key of its owner');
    await assert.rejects(use(mirrored(token), 'the key of a thief'), { code: 'outside-token.used' });
  });

  test('is verified once, however many rules its issuer has', async () => {
    const [rule] = house.registry.snapshot().trustRules.values();
    assert.ok(rule);
    const keys = createIssuerKeys(house);
    let asked = 0;
    const counted: typeof keys = {
      of(...given) {
        asked++;
        return keys.of(...given);
      },
    };
    const rules = Array.from({ length: 50 }, (_, at) => ({ ...rule, name: `rule-${at}` }));
    const token = await issuer.sign({ sub: 'run' });
    const examined = await examine(
      { token },
      {
        ...house,
        keys: counted,
        takeTurns: createTurns(),
        from: '',
        now: Date.now(),
        rules,
      },
    );
    assert.equal(examined.rules.length, 50);
    assert.equal(asked, 1);
  });

  test('of this Gatehouse itself is none of an outside issuer, though a rule and its keys may say so', async () => {
    await house.apply({
      kind: 'TrustRule',
      name: 'itself',
      issuer: { type: 'oidc', url: house.publicUrl, jwks: issuer.publicJwks(), allowPrivateAddress: true },
      claims: { sub: 'itself' },
      agent: 'agent-ci-prod',
      state: 'active',
    } as unknown as Manifest);
    await assert.rejects(vouch(await issuer.sign({ sub: 'itself', iss: house.publicUrl })), {
      code: 'outside-token.own',
    });
  });

  test('whose claims are almost those of a rule is refused', async () => {
    for (const sub of ['Run', 'run ', ' run', 'run\u0000', 'run\n', ['run'], { run: 'run' }, 1, true, 'гun', 'run*'])
      await assert.rejects(vouch(await issuer.sign({ sub: sub as never }).catch(() => 'a.b.c')), { kind: 'forbidden' });
    await assert.rejects(vouch(await issuer.sign({ sub: 'run', iss: `${issuer.url}/` })), { code: 'trust.no-match' });
  });

  /** @proves federation.size */
  test('of 10 MB is refused before it is parsed, at every door', async () => {
    const huge = `${encode({ alg: 'RS256' })}.${'A'.repeat(10 * 1024 * 1024)}.AAAA`;
    await assert.rejects(vouch(huge), { code: 'outside-token.malformed' });
    const before = issuer.requests.length;
    for (const [path, body, headers] of [
      ['/enrol', JSON.stringify({ token: huge }), { 'content-type': 'application/json' }],
      ['/workload/tasks', JSON.stringify({ proof: { token: huge } }), { 'content-type': 'application/json' }],
      [
        '/oauth/token',
        `grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=${huge}`,
        { 'content-type': 'application/x-www-form-urlencoded' },
      ],
    ] as const) {
      const status = await fetch(house.address + path, { method: 'POST', body, headers }).then(
        (response) => response.status,
        // The connection may be closed while the rest is still being sent.
        () => 413,
      );
      assert.equal(status, 413, path);
    }
    assert.equal(issuer.requests.length, before);
    await assert.rejects(vouch(await issuer.sign({ sub: 'run', pad: 'x'.repeat(17_000) })), {
      code: 'outside-token.malformed',
    });
  });

  test('leaves no trace of itself in the log', () => assertCleanLog(house));
});
