import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import {
  addVirtualAuthenticator,
  launchChromium,
  type VirtualAuthenticator,
} from '../../../../test/support/chromium.ts';
import { cookieOf, type House } from '../identity/people/testing/house.ts';
import type { Json } from '../platform/index.ts';
import { APPROVER, addAgent, asAsked, openDesk, requestOf } from './testing/desk.ts';
import type { Approvals } from './types.ts';

const browser = (await launchChromium()) as Browser;

describe('in a real browser', { skip: browser ? false : 'there is no Chromium on this machine' }, () => {
  let server: Server;
  let page: Page;
  let authenticator: VirtualAuthenticator;
  let house: House;
  let approvals: Approvals;
  before(async () => {
    server = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<!doctype html>'),
    );
    server.listen(0, 'localhost');
    await once(server, 'listening');
    const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    ({ house, approvals } = await openDesk({ publicUrl: origin }));
    page = await browser.newPage();
    await page.goto(origin);
    authenticator = await addVirtualAuthenticator(page);
  });
  after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
    await house.close();
  });

  const create = async (options: Json): Promise<Json> => {
    const answer = await page.evaluate(async (text) => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(text));
      return JSON.stringify(await navigator.credentials.create({ publicKey }));
    }, JSON.stringify(options));
    return JSON.parse(answer);
  };
  const get = async (options: Json): Promise<Json> => {
    const answer = await page.evaluate(async (text) => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(text));
      return JSON.stringify(await navigator.credentials.get({ publicKey }));
    }, JSON.stringify(options));
    return JSON.parse(answer);
  };

  test('a person enrols by link, signs in without a name, and approves one action', async () => {
    const { people } = house;
    const { token } = await people.createSigninLink(APPROVER, { by: 'gatehouse' });
    const opened = await house.openLink(token);
    await people.enrol(opened.person, await create(await people.enrolmentOptions(opened.person)), { name: 'Laptop' });
    const session = await people.signIn(await get(await people.signInOptions()), {});
    const person = await people.authenticatePerson({ cookie: cookieOf(session) });
    assert.deepEqual([person.email, person.enrolled], [APPROVER, true]);

    const approval = await approvals.open(requestOf(await addAgent(house)));
    const assertion = await get(await approvals.approvalOptions(approval.id, person.email));
    const approved = await approvals.approve(approval.id, person.email, assertion);
    assert.deepEqual([approved.state, approved.decidedBy], ['approved', APPROVER]);
    assert.equal(approvals.find(asAsked(approval))?.state, 'approved');
  });

  test('the browser is told which passkeys there are, and does not make a second one beside them', async () => {
    const session = await house.people.signIn(await get(await house.people.signInOptions()), {});
    const options = await house.people.enrolmentOptions(session.person);
    await assert.rejects(create(options), /InvalidStateError/);
  });

  test('an authenticator whose person fails the check approves nothing', async () => {
    const approval = await approvals.open(requestOf(await addAgent(house, 'agent-second')));
    await authenticator.setUserVerified(false);
    await assert.rejects(get(await approvals.approvalOptions(approval.id, APPROVER)));
    await authenticator.setUserVerified(true);
    assert.equal((await approvals.get(approval.id))?.state, 'pending');
  });
});
