import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectV1, connectV2, type TestClient } from '../../../../../test/peers/clients.ts';
import { createPeerState, type HttpPeerHandle, noteUri } from '../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../../../test/peers/v2-server.ts';
import { as, startGate, type TestGate } from './testing/gate.ts';

const clients = { 'a 2025-11-25 client': connectV1, 'a 2026-07-28 client': connectV2 };
const servers = { 'a 2025-11-25 server': startV1Http, 'a 2026-07-28 server': startV2Http };
const addresses = { 'at its own address': 'peer', 'at the address of all servers': undefined };

/** Every feature, for each pair of eras, at both addresses: the gate must not be noticed. */
for (const [clientName, connect] of Object.entries(clients)) {
  for (const [serverName, start] of Object.entries(servers)) {
    for (const [addressName, server] of Object.entries(addresses)) {
      describe(`${clientName} and ${serverName} ${addressName}`, () => {
        let peer: HttpPeerHandle;
        let gate: TestGate;
        let client: TestClient;
        const name = (own: string) => (server === undefined ? `peer__${own}` : own);
        const uri = (own: string) => (server === undefined ? `peer+${own}` : own);
        const texts = (result: { content: { text?: string }[] }) => result.content.map(({ text }) => text).join('');

        before(async () => {
          peer = await start(createPeerState());
          gate = await startGate({ peer: { url: peer.url } });
          client = await connect({ url: gate.url(server), headers: as() });
        });
        after(async () => {
          await client.close();
          await gate.close();
          await peer.close();
        });

        test('lists the approved tools in a fixed order', async () => {
          const listed = (await client.listTools()).map((tool) => tool.name);
          assert.ok(listed.includes(name('echo')));
          assert.deepEqual(listed, [...listed].sort());
          assert.deepEqual(
            (await client.listTools()).map((tool) => tool.name),
            listed,
          );
        });

        test('calls a tool with exactly the arguments that were decided on', async () => {
          assert.equal(texts(await client.call(name('echo'), { text: 'héllo' })), 'héllo');
          const action = gate.enforcement.decided.findLast(({ operation }) => operation === 'tools/call');
          assert.deepEqual([action?.tool, action?.arguments], ['peer/echo', { text: 'héllo' }]);
        });

        test('passes structured content and tool errors as they are', async () => {
          assert.deepEqual((await client.call(name('add'), { a: 2, b: 3 })).structuredContent, { sum: 5 });
        });

        test('passes progress', async () => {
          const seen: number[] = [];
          await client.call(name('progress'), { steps: 3 }, { onProgress: (progress) => seen.push(progress) });
          assert.deepEqual(seen, [1, 2, 3]);
        });

        test('passes log messages of a call', async () => {
          await client.call(name('log'), { message: 'from the tool' });
          assert.ok(client.logged.some((data) => JSON.stringify(data).includes('from the tool')));
        });

        test('cancels at the server what the client cancels', async () => {
          const cancel = new AbortController();
          const call = client.call(name('wait_until_cancelled'), { label: 'x' }, { signal: cancel.signal });
          await peer.state.log.until('waiting', 'wait_until_cancelled');
          cancel.abort();
          await assert.rejects(call);
          await peer.state.log.until('cancelled', 'wait_until_cancelled');
        });

        test('puts a form of the server to the user', async () => {
          const result = texts(await client.call(name('ask_form'), { message: 'Who are you?' }));
          assert.match(result, /accept/);
          assert.equal(client.asked.filter(({ method }) => method === 'elicitation/create').length, 1);
          assert.ok(gate.enforcement.decided.some(({ operation }) => operation === 'elicitation/create'));
        });

        test('puts an address of the server to the user', async () => {
          const result = texts(await client.call(name('ask_url'), { message: 'Open', url: 'https://example.test/x' }));
          assert.match(result, /accept/);
          assert.ok(gate.enforcement.decided.some(({ operation }) => operation === 'elicitation/create:url'));
        });

        test("asks the client's model", async () => {
          assert.match(texts(await client.call(name('sample'), { prompt: 'Say something' })), /./);
          assert.ok(gate.enforcement.decided.some(({ operation }) => operation === 'sampling/createMessage'));
        });

        test("asks for the client's roots", async () => {
          assert.match(texts(await client.call(name('list_roots'))), /file:/);
          assert.ok(gate.enforcement.decided.some(({ operation }) => operation === 'roots/list'));
        });

        test('lists and reads resources, each read an action', async () => {
          assert.deepEqual(await client.listResources(), [uri(noteUri)]);
          assert.equal(await client.readResource(uri(noteUri)), peer.state.note);
          assert.equal((await client.readResource(uri('peer://item/1'))) !== undefined, true);
          const read = gate.enforcement.decided.filter(({ operation }) => operation === 'resources/read');
          assert.deepEqual(read[0]?.arguments, { uri: noteUri });
        });

        test('gets a prompt and completes its argument', async () => {
          assert.match(JSON.stringify(await client.getPrompt(name('greet'), { name: 'Ada' })), /Ada/);
          assert.deepEqual(await client.completePrompt(name('greet'), 'name', 'a'), ['ada', 'alan']);
          assert.deepEqual(await client.completeTemplate(uri('peer://item/{id}'), 'id', '1'), ['1', '10']);
        });

        test('tells of a watched resource', async () => {
          await client.subscribe(uri(noteUri));
          await client.call(name('set_note'), { text: 'second note' });
          while (client.updated.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
          assert.equal(client.updated[0], uri(noteUri));
        });

        test('tells of a changed list of tools, and holds the new tool back', async () => {
          const before = client.toolListChanges;
          await client.call(name('toggle_tool'));
          while (client.toolListChanges === before) await new Promise((resolve) => setTimeout(resolve, 5));
          assert.ok(!(await client.listTools()).some((tool) => tool.name === name('extra')));
        });
      });
    }
  }
}
