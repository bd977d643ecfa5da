import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type House, openHouse } from '../testing/house.ts';
import { trustDomainLimits } from './limits.ts';
import { createRoot } from './testing/certificates.ts';

onEachDatabase('federation', (database) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-federation-'));
  let house: House;
  let address: string;
  let foreign: Awaited<ReturnType<typeof createRoot>>;
  let answer: (response: ServerResponse) => void;
  let asked = 0;
  const endpoint = createServer((_request, response) => {
    asked++;
    answer(response);
  });
  const url = () => `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/bundle`;
  const serve = (document: unknown, status = 200, headers: Record<string, string> = {}) => {
    answer = (response) =>
      response.writeHead(status, headers).end(typeof document === 'string' ? document : JSON.stringify(document));
  };
  const document = (sequence: number) => ({
    ...foreign.bundle.document,
    spiffe_sequence: sequence,
    spiffe_refresh_hint: 60,
  });
  const declare = (change: object = {}): Manifest =>
    ({ kind: 'TrustDomain', name: 'foreign.test', bundleUrl: url(), allowPrivateAddress: true, ...change }) as Manifest;
  const verify = async () =>
    house.identity.trustDomain.verifySvid([(await foreign.issue({ notAfter: Date.now() + 400_000_000 })).der]);
  const state = async () => (await house.identity.trustDomain.view()).federated[0];
  const later = async (ms = 61_000) => {
    house.pass(ms);
    await house.settled();
    await house.identity.trustDomain.tick();
  };

  before(async () => {
    foreign = await createRoot('foreign.test');
    await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
    address = await database();
    house = await openHouse({ dataDir, database: address });
    serve(document(5));
  });
  after(async () => {
    await house.close();
    endpoint.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** @proves spiffe.federation */
  describe('a federated trust domain', () => {
    test('is nobody before it is declared, and its SVIDs verify when its bundle was fetched', async () => {
      await assert.rejects(verify(), { code: 'svid.trust-domain' });
      await house.apply(declare());
      await assert.rejects(verify(), { code: 'svid.trust-domain' });
      await house.identity.trustDomain.tick();
      assert.equal((await verify()).trustDomain, 'foreign.test');
      const found = await state();
      assert.deepEqual([found?.state, found?.sequence, found?.x509Roots, found?.problem], ['fresh', 5, 1, null]);
      const [record] = await house.records('trust-domain.bundle');
      assert.match(record?.changes?.[0] ?? '', /foreign\.test .* sequence 5/);
      assert.equal(house.identity.trustDomain.principalOf('spiffe://foreign.test/env/prod/agent/agent-a'), undefined);
    });

    test('is asked again when its hint says so, and not before', async () => {
      const count = asked;
      await house.identity.trustDomain.tick();
      assert.equal(asked, count);
      await later();
      assert.equal(asked, count + 1);
    });

    test('keeps its last good bundle whatever its endpoint says, and shows what is wrong', async () => {
      const wrong: [unknown, number, Record<string, string>, RegExp][] = [
        ['gone', 404, {}, /answered 404/],
        ['', 302, { location: 'http://169.254.169.254/latest/meta-data' }, /redirects are not followed/],
        ['<html>', 200, {}, /not valid JSON/],
        ['{"keys":[],"keys":[]}', 200, {}, /twice/],
        [{ no: 'keys' }, 200, {}, /no JWK set/],
        [{ keys: Array.from({ length: 1_000 }, () => ({})) }, 200, {}, /1000 keys/],
        ['x'.repeat(300_000), 200, {}, /more than 262144 bytes/],
        [document(4), 200, {}, /behind the 5/],
        [{ ...document(5), spiffe_sequence: undefined }, 200, {}, /behind the 5/],
      ];
      for (const [body, status, headers, says] of wrong) {
        serve(body, status, headers);
        await later();
        assert.match((await state())?.problem ?? '', says);
        await verify();
      }
      await later(400_000);
      assert.equal((await state())?.state, 'stale');
      await verify();
      serve(document(6));
      await later();
      assert.deepEqual([(await state())?.state, (await state())?.sequence], ['fresh', 6]);
    });

    test('survives its own outage and our restart', async () => {
      answer = (response) => response.destroy();
      const ahead = house.clock.now() - Date.now();
      await house.close();
      house = await openHouse({ dataDir, database: address });
      house.pass(ahead);
      await house.settled();
      await later();
      await verify();
      assert.match((await state())?.problem ?? '', /could not be fetched/);
    });

    /** @proves spiffe.federation-end */
    test('is trusted for a day without being reached, and then its SVIDs are nobody’s until it answers', async () => {
      const day = trustDomainLimits.bundleStaleSeconds * 1000;
      const fetchedAt = (await state())?.fetchedAt as number;
      await later(fetchedAt + day - 60_000 - house.clock.now());
      await verify();
      const { validUntil } = await verify();
      assert.equal(validUntil, fetchedAt + day, 'nobody keeps it for verified beyond that');
      assert.deepEqual([(await state())?.state, (await state())?.trustedUntil], ['stale', fetchedAt + day]);
      house.pass(60_001);
      await assert.rejects(verify(), { code: 'svid.trust-domain' });
      assert.equal(house.identity.trustDomain.foreignBundles().size, 0, 'and is handed to nobody');
      assert.equal((await state())?.state, 'expired');
      await house.settled();
      serve(document(6));
      await later();
      await verify();
      assert.equal((await state())?.state, 'fresh');
    });

    test('is told a revocation: an empty bundle of a later sequence ends the trust', async () => {
      serve({ keys: [], spiffe_sequence: 7, spiffe_refresh_hint: 60 });
      await later();
      await assert.rejects(verify(), { code: 'svid.untrusted' });
      serve(document(8));
      await later();
      await verify();
    });

    test('at another address begins anew, and one that is not declared any more is nobody at once', async () => {
      serve(document(1));
      await house.apply(declare({ bundleUrl: `${url()}/other` }));
      await assert.rejects(verify(), { code: 'svid.trust-domain' });
      await house.identity.trustDomain.tick();
      assert.equal((await state())?.sequence, 1);
      await house.registry.apply([], { prune: true, by: 'gatehouse' });
      await house.settled();
      await assert.rejects(verify(), { code: 'svid.trust-domain' });
      await house.identity.trustDomain.tick();
      assert.deepEqual((await house.identity.trustDomain.view()).federated, []);
    });
  });

  /** @proves law-11.ssrf */
  test('a bundle is not fetched from a private address, over http or from metadata services, unless an operator says so, or never', async () => {
    const cases: [object, RegExp][] = [
      [{ allowPrivateAddress: false }, /not https/],
      [{ bundleUrl: 'https://127.0.0.1/bundle', allowPrivateAddress: false }, /private address/],
      [{ bundleUrl: 'http://169.254.169.254/bundle', allowPrivateAddress: true }, /nothing may be called/],
      [{ bundleUrl: 'http://[fd00:ec2::254]/bundle', allowPrivateAddress: true }, /nothing may be called/],
    ];
    const count = asked;
    for (const [change, says] of cases) {
      await house.apply(declare(change));
      await house.identity.trustDomain.tick();
      assert.match((await state())?.problem ?? '', says);
      assert.equal((await state())?.state, 'waiting');
    }
    assert.equal(asked, count);
    await assert.rejects(house.apply(declare({ name: 'example.test' })), /own trust domain/);
  });
});
