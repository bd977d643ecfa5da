import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Sha256 } from '@aws-crypto/sha256-js';
import { type Manifest, type SignedAwsRequest, trustRuleManifest } from '@gatehouse/protocol';
import { SignatureV4 } from '@smithy/signature-v4';
import * as dpop from 'dpop';
import type { ForeignServer } from '../../../../../test/support/foreign-server.ts';
import { startMoto } from '../../../../../test/support/moto.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { AWS_SERVER_HEADER, callerOf, isForIssuer } from './aws.ts';
import { postJson } from './testing/present.ts';

const BODY = 'Action=GetCallerIdentity&Version=2011-06-15';

interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** Signs as AWS's own clients do. */
async function sign(
  endpoint: string,
  serverId: string,
  {
    credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'test-only' } as Credentials,
    headers = {} as Record<string, string>,
    body = BODY,
    signingDate = new Date(),
    without = [] as string[],
  } = {},
): Promise<SignedAwsRequest> {
  const url = new URL(endpoint);
  const signer = new SignatureV4({ credentials, region: 'eu-central-1', service: 'sts', sha256: Sha256 });
  const given: Record<string, string> = {
    host: url.host,
    'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    [AWS_SERVER_HEADER]: serverId,
    ...headers,
  };
  for (const name of without) delete given[name];
  const signed = (await signer.sign(
    {
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      query: {},
      headers: given,
      body,
    } as never,
    { signingDate },
  )) as unknown as { headers: Record<string, string> };
  return { method: 'POST', url: `${url.origin}/`, headers: signed.headers, body };
}

const rule = (name: string, endpoint: string | undefined, claims: object, agent: string): Manifest =>
  trustRuleManifest.parse({
    kind: 'TrustRule',
    name,
    issuer: { type: 'aws-iam', ...(endpoint && { endpoint, allowPrivateAddress: true }) },
    claims,
    agent,
  });

describe('a signed AWS request', () => {
  let house: House;
  let sts: { url: string; answer: [number, string]; close(): Promise<void>; seen: string[] };

  before(async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(JSON.stringify(request.headers));
      request.resume();
      response.writeHead(sts.answer[0], { 'content-type': 'text/xml', location: 'http://169.254.169.254/' });
      response.end(sts.answer[1]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    sts = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      answer: [200, answerFor('arn:aws:iam::123456789012:user/agents/support')],
      seen,
      async close() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
    house = await openHouse();
    await house.furnish();
    await house.apply(
      agentManifest('agent-aws-prod'),
      rule('aws', sts.url, { account: '123456789012', user: 'support' }, 'agent-aws-prod'),
    );
  });
  after(async () => {
    await sts.close();
    await house.close();
  });

  const answerFor = (arn: string) =>
    `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>${arn}</Arn><UserId>AIDA1</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`;
  const vouch = async (aws: SignedAwsRequest) => house.identity.federation.vouch({ aws });

  /** @proves federation.aws */
  test('stands for the agent of the rule that the caller fits, once', async () => {
    const aws = await sign(sts.url, house.publicUrl);
    const enrol = async () => {
      const keys = await dpop.generateKeyPair('ES256', { extractable: true });
      const credential = aws.headers.authorization as string;
      return postJson(house, '/enrol', { aws }, { keys, credential });
    };
    const answer = await enrol();
    assert.deepEqual([answer.status, answer.body.agent], [200, 'agent-aws-prod'], JSON.stringify(answer.body));
    assert.equal((await enrol()).body.title, 'outside-token.used');
    sts.answer = [200, answerFor('arn:aws:iam::123456789012:user/agents/other')];
    await assert.rejects(vouch(await sign(sts.url, house.publicUrl)), { code: 'trust.no-match' });
    sts.answer = [200, answerFor('arn:aws:iam::123456789012:user/agents/support')];
  });

  /** @proves federation.aws */
  test('that was signed for another server, for nobody, for something else or long ago is never sent', async () => {
    const before = sts.seen.length;
    const minutes = (count: number) => new Date(Date.now() + count * 60_000);
    for (const [code, aws] of [
      ['aws.other-server', await sign(sts.url, 'https://other.example')],
      ['aws.unsigned', await sign(sts.url, '', { without: [AWS_SERVER_HEADER] })],
      ['aws.date', await sign(sts.url, house.publicUrl, { signingDate: minutes(-6) })],
      ['aws.date', await sign(sts.url, house.publicUrl, { signingDate: minutes(6) })],
      ['aws.action', await sign(sts.url, house.publicUrl, { body: `${BODY}&RoleArn=x` })],
      ['aws.action', await sign(sts.url, house.publicUrl, { body: 'Action=AssumeRole&Version=2011-06-15' })],
      ['aws.action', await sign(sts.url, house.publicUrl, { body: `${BODY}&Action=AssumeRole` })],
    ] as const)
      await assert.rejects(vouch(aws), { code }, code);
    // The header that names the server, added afterwards, is not under the signature.
    const bare = await sign(sts.url, '', { without: [AWS_SERVER_HEADER] });
    bare.headers[AWS_SERVER_HEADER] = house.publicUrl;
    await assert.rejects(vouch(bare), { code: 'aws.unsigned' });
    const keyed = (accessKeyId: string) =>
      sign(sts.url, house.publicUrl, { credentials: { accessKeyId, secretAccessKey: 'test-only' } });
    await assert.rejects(vouch(await keyed('nobody')), { code: 'aws.authorization' });
    await assert.rejects(vouch(await keyed('ASIAIOSFODNN7EXAMPLE')), { code: 'aws.headers' }, 'without its session');
    assert.equal(sts.seen.length, before);
  });

  test('goes to no other host than that of its rule, whatever it names', async () => {
    const before = sts.seen.length;
    const good = await sign(sts.url, house.publicUrl);
    for (const url of [
      'http://169.254.169.254/',
      'https://sts.amazonaws.com.evil.example/',
      'https://sts.evil.amazonaws.com/',
      `${sts.url}/path`,
      `${sts.url}/?Action=x`,
      sts.url.replace('http://', 'http://user@'),
      `${sts.url}#x`,
      'file:///etc/passwd',
      'nonsense',
    ])
      await assert.rejects(vouch({ ...good, url: url === `${sts.url}#x` ? `${sts.url}/#x` : url }), {
        code: 'trust.no-match',
      });
    const host = await sign(sts.url, house.publicUrl);
    host.headers.host = 'sts.amazonaws.com';
    await assert.rejects(vouch(host), { code: 'trust.no-match' });
    assert.equal(sts.seen.length, before);
  });

  test('is for an STS of AWS where the rule names none, over https and at its own port', () => {
    const isForAws = (url: string, region = /\.([a-z]+-[a-z-]+-\d)\.amazonaws/.exec(url)?.[1] ?? 'us-east-1') =>
      isForIssuer(
        { url, headers: { host: URL.parse(url)?.host ?? '' }, body: '', region, id: '', expiresAt: 0 },
        { type: 'aws-iam', allowPrivateAddress: false },
      );
    for (const host of [
      'sts.amazonaws.com',
      'sts.eu-central-1.amazonaws.com',
      'sts-fips.us-gov-west-1.amazonaws.com',
      'sts.cn-north-1.amazonaws.com.cn',
    ])
      assert.ok(isForAws(`https://${host}/`), host);
    for (const url of [
      'http://sts.amazonaws.com/',
      'https://sts.amazonaws.com:8443/',
      'https://sts.amazonaws.com/latest',
      'https://sts.amazonaws.com./',
      'https://sts.amazonaws.com.evil.example/',
      'https://evil.sts.amazonaws.com/',
      'https://stsXamazonaws.com/',
      'https://sts.s3.amazonaws.com/',
      'https://sts.s3-eu-west-1.amazonaws.com/',
      'https://sts.eu-west-1.elb.amazonaws.com/',
      'https://iam.amazonaws.com/',
      'https://evil.example/?sts.amazonaws.com',
      'https://evil.example#sts.amazonaws.com',
    ])
      assert.equal(isForAws(url), false, url);
    assert.equal(isForAws('https://sts.amazonaws.com/', 'eu-central-1'), false, 'signed for another region');
    assert.equal(isForAws('https://sts.eu-west-1.amazonaws.com/', 'eu-central-1'), false);
  });

  test('stands for nobody while its rule is suspended', async () => {
    const active = rule('aws', sts.url, { account: '123456789012', user: 'support' }, 'agent-aws-prod');
    await house.apply({ ...active, state: 'suspended' } as Manifest);
    await assert.rejects(vouch(await sign(sts.url, house.publicUrl)), { code: 'trust.no-match' });
    await house.apply(active);
    assert.ok(await vouch(await sign(sts.url, house.publicUrl)));
  });

  test('smuggles nothing in: headers outside of the signature are left out, doubled and broken ones refused', async () => {
    const aws = await sign(sts.url, house.publicUrl);
    await vouch({ ...aws, headers: { ...aws.headers, 'x-evil': '1', cookie: 'a=b', 'x-forwarded-for': '1.1.1.1' } });
    assert.doesNotMatch(String(sts.seen.at(-1)), /x-evil|cookie|x-forwarded-for/);
    for (const headers of [
      { ...aws.headers, Host: 'evil.example' },
      { ...aws.headers, 'X-Amz-Date': '20200101T000000Z' },
      { ...aws.headers, 'content-type': 'a\r\nx-evil: 1' },
    ])
      await assert.rejects(vouch({ ...aws, headers }), { code: 'aws.headers' });
    await assert.rejects(vouch({ ...aws, headers: { ...aws.headers, authorization: 'Bearer x' } }), {
      code: 'aws.authorization',
    });
  });

  test('counts for nothing where STS refuses it, redirects, fails, or says garbage; what it could not say is no refusal', async () => {
    for (const answer of [
      [400, '<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>'],
      [429, ''],
      [403, '<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>'],
      [302, ''],
      [500, ''],
      [200, 'not xml <'],
      [200, ''],
      [200, '<GetCallerIdentityResponse/>'],
      [200, `<!DOCTYPE x [<!ENTITY e "arn:aws:iam::123456789012:user/support">]>${answerFor('&e;')}`],
      [200, answerFor('</Arn><Arn>arn:aws:iam::123456789012:user/support')],
      [200, 'x'.repeat(100_000)],
    ] as [number, string][]) {
      sts.answer = answer;
      await assert.rejects(
        vouch(await sign(sts.url, house.publicUrl)),
        {
          code: [302, 403].includes(answer[0]) || answer[1].includes('ENTITY') ? 'trust.no-match' : 'trust.unavailable',
        },
        answer[1].slice(0, 80),
      );
    }
  });

  test('names its caller as AWS writes it', () => {
    const parts = (arn: string) => {
      const { partition, type, role, session, user } = callerOf(answerFor(arn)) as Record<string, string>;
      return [partition, type, role ?? user, session];
    };
    assert.deepEqual(parts('arn:aws:sts::123456789012:assumed-role/support/i-0abc'), [
      'aws',
      'assumed-role',
      'support',
      'i-0abc',
    ]);
    assert.deepEqual(parts('arn:aws-cn:iam::123456789012:user/team/support'), ['aws-cn', 'user', 'support', undefined]);
    assert.deepEqual(parts('arn:aws:iam::123456789012:root'), ['aws', 'root', undefined, undefined]);
  });

  test('leaves no trace of itself in the log', () => {
    assertCleanLog(house);
    for (const line of house.lines) assert.doesNotMatch(line, /AWS4-HMAC/);
  });
});

const moto: ForeignServer | undefined = await startMoto();
after(() => moto?.close());

describe('a signed AWS request to an STS of somebody else (moto)', {
  skip: moto === undefined && 'moto is missing',
}, () => {
  test('of an assumed role stands for the agent of that role', async () => {
    const { url } = moto as ForeignServer;
    const house = await openHouse();
    try {
      await house.furnish();
      await house.apply(
        agentManifest('agent-role-prod'),
        rule('role', url, { account: '123456789012', role: 'support' }, 'agent-role-prod'),
      );
      const asked =
        'Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/support&RoleSessionName=run-7';
      const assume = await sign(url, 'x', { body: asked });
      const text = await (await fetch(assume.url, { method: 'POST', headers: assume.headers, body: asked })).text();
      const of = (name: string) => new RegExp(`<${name}>([^<]+)`).exec(text)?.[1] ?? '';
      const credentials = {
        accessKeyId: of('AccessKeyId'),
        secretAccessKey: of('SecretAccessKey'),
        sessionToken: of('SessionToken'),
      };
      const { match, problem } = await house.identity.federation.explain({
        aws: await sign(url, house.publicUrl, { credentials }),
      });
      assert.equal(match?.agent, 'agent-role-prod', String(problem));
      const stranger = await house.identity.federation.explain({ aws: await sign(url, house.publicUrl) });
      assert.equal(stranger.match, null);
    } finally {
      await house.close();
    }
  });
});
