import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import { decodeJwt } from 'jose';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { postForm } from './testing/present.ts';

onEachDatabase('the assertion grant', (database) => {
  const TASK = JSON.stringify([
    { type: 'urn:gatehouse:task', template: 'support', parameters: { customer: 'cus_1' }, intent: 'answer the ticket' },
  ]);

  let house: House;
  let issuer: ForeignIssuer;

  before(async () => {
    house = await openHouse({ database: await database() });
    issuer = await openForeignIssuer(house.publicUrl);
    await house.furnish();
    await house.apply(agentManifest('agent-ci-prod'), agentManifest('agent-other-prod'));
  });
  after(async () => {
    await issuer.close();
    await house.close();
  });

  const rule = (name: string, change: Partial<ManifestInput & { kind: 'TrustRule' }>): ManifestInput => ({
    kind: 'TrustRule',
    name,
    issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
    agent: 'agent-ci-prod',
    ...change,
  });
  const present = (assertion: string, form: Record<string, string> = {}, keys?: dpop.KeyPair) =>
    postForm(house, { assertion, authorization_details: TASK, ...form }, keys);

  describe('a token of an outside issuer', () => {
    before(() => house.apply(rule('deploys', { claims: { sub: 'deploy-service' } }) as never));

    /** @proves federation.jwt-bearer */
    test('that the issuer itself made becomes a task token, bound to the key of the DPoP proof, by a client that has no client_id', async () => {
      const keys = await dpop.generateKeyPair('ES256');
      const answer = await present(await issuer.issue(), {}, keys);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(answer.body.token_type, 'DPoP');
      const claims = decodeJwt(answer.body.access_token as string);
      assert.equal(claims.sub, 'spiffe://example.test/env/prod/agent/agent-ci-prod');
      assert.equal(claims.client_id, 'agent-ci-prod');
      assert.ok((claims.cnf as { jkt?: string }).jkt);
      const [record] = (await house.records('token.issue')).slice(-1);
      assert.match(JSON.stringify(record), /trust rule deploys \(http.*deploy-service\)/);
    });

    test('is taken in each algorithm that issuers sign with', async () => {
      for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA'] as const) {
        const answer = await present(await issuer.sign({ sub: 'deploy-service' }, { alg }));
        assert.equal(answer.status, 200, `${alg}: ${JSON.stringify(answer.body)}`);
      }
    });

    /** @proves federation.single-use */
    test('is taken once: a second use is refused, also of two at once', async () => {
      const token = await issuer.sign({ sub: 'deploy-service' });
      const answers = await Promise.all([present(token), present(token), present(token)]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400]);
      const refused = answers.find(({ status }) => status === 400);
      assert.equal(refused?.body.error, 'invalid_grant');
      assert.match(String(refused?.body.error_description), /used before/);
    });

    /** @proves federation.deny-by-default */
    test('that no rule names is refused and recorded, without saying what a rule asks for', async () => {
      const answer = await present(await issuer.sign({ sub: 'somebody-else' }));
      assert.deepEqual([answer.status, answer.body.error], [400, 'invalid_grant']);
      assert.doesNotMatch(String(answer.body.error_description), /deploy/);
      const [record] = (await house.records('trust.refuse')).slice(-1);
      assert.match(JSON.stringify(record), /somebody-else/);
    });

    test('does not stand for another agent than the rule names, whatever client_id says', async () => {
      const token = await issuer.sign({ sub: 'deploy-service' });
      const other = await present(token, { client_id: 'agent-other-prod' });
      assert.deepEqual([other.status, other.body.error], [400, 'invalid_grant']);
      assert.equal((await present(token, { client_id: 'agent-ci-prod' })).status, 200);
    });

    test('needs a DPoP proof: without one nothing is issued, and the token is not used up', async () => {
      const token = await issuer.sign({ sub: 'deploy-service' });
      const bare = await postForm(house, { assertion: token, authorization_details: TASK }, null);
      assert.equal(bare.body.error, 'invalid_dpop_proof');
      assert.equal((await present(token)).status, 200);
    });

    test('is not used up by a request that starts nothing because of what it asks for', async () => {
      const token = await issuer.sign({ sub: 'deploy-service' });
      const details = JSON.stringify([
        { type: 'urn:gatehouse:task', template: 'support', parameters: {}, intent: 'x' },
      ]);
      const refused = await present(token, { authorization_details: details });
      assert.equal(refused.status, 400);
      assert.equal((await present(token)).status, 200);
      assert.equal((await present(token)).body.error, 'invalid_grant');
    });

    /** @proves law-6.federation */
    test('mints nothing for an agent that was killed, and again when it was activated', async () => {
      await house.registry.setAgentState('agent-ci-prod', 'suspended', 'test', { killed: true });
      await house.settled();
      const answer = await present(await issuer.sign({ sub: 'deploy-service' }));
      assert.equal(answer.body.error, 'unauthorized_client', JSON.stringify(answer.body));
      await house.registry.setAgentState('agent-ci-prod', 'active', 'test');
      await house.settled();
      assert.equal((await present(await issuer.sign({ sub: 'deploy-service' }))).status, 200);
    });

    test('leaves no trace of itself in the log', () => assertCleanLog(house));
  });
});
