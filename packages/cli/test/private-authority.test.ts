import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  createAgent,
  createMcpTransport,
  createOperator,
  createSvidSource,
  enrolAgent,
  generateAgentKey,
} from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { stringify } from 'yaml';
import { createAuthority } from '../../server/src/identity/client-certificate/testing/authority.ts';
import { createCli, ended } from './support.ts';

/** A server whose certificate is of an authority that no system knows. */
const agent = 'agent-tester-dev';
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-ca-'));
const ca = join(directory, 'ca.pem');
const dataDir = join(directory, 'data');
let server: ChildProcess;
let url = '';

before(async () => {
  const authority = await createAuthority('front.test');
  const { cert, key } = await authority.issue({ dns: ['localhost'] });
  const at = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  at('ca.pem', authority.root);
  mkdirSync(join(directory, 'files'));
  const objects = [
    { kind: 'Environment', name: 'dev' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin', 'owner'] },
    { kind: 'Template', name: 'try-out' },
    { kind: 'Blueprint', name: 'tester', templates: ['try-out'] },
    {
      kind: 'Agent',
      name: agent,
      owner: 'owner@example.test',
      purpose: 'tests',
      environment: 'dev',
      blueprint: 'tester',
    },
  ];
  at('files/all.yaml', objects.map((each) => stringify(each)).join('---\n'));
  const files = ['--tls-cert', at('tls.crt', cert), '--tls-key', at('tls.key', key)];
  server = createCli(directory).start([
    ...['start', '--json', '--data-dir', dataDir, '--port', '0', '--no-mtls-port', '--workspace', 'files'],
    ...files,
  ]);
  const [line] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [string];
  url = (JSON.parse(String(line)) as { publicUrl: string }).publicUrl;
  assert.match(url, /^https:/);
});
after(async () => {
  server.kill();
  await once(server, 'close');
  rmSync(directory, { recursive: true, force: true });
});

const joinToken = async () => {
  const operator = createOperator({ url, dataDir, ca });
  return (await operator.call('POST /agents/:name/join-tokens', { params: { name: agent }, body: {} })).token;
};

/** @proves sdk.private-authority */
test('the SDK trusts the authority that it is given in every request: discovery, enrolment, tokens, SVIDs, calls, the end', async () => {
  const key = await generateAgentKey(join(directory, 'sdk.jwk'));
  await enrolAgent({ url, agent, key, proof: { joinToken: await joinToken() }, ca });
  const client = await createAgent({ url, agent, key, ca });
  const task = await client.startTask({ template: 'try-out', intent: 'test' });
  const mcp = new Client({ name: 't', version: '1' });
  await mcp.connect(createMcpTransport(task));
  assert.deepEqual((await mcp.listTools()).tools, []);
  await mcp.close();
  const svids = createSvidSource({ url, agent, key, ca });
  assert.match((await svids.x509()).spiffeId, /agent-tester-dev$/);
  svids.close();
  const ofTask = createSvidSource({ url, agent, key, task, ca });
  assert.match((await ofTask.x509()).spiffeId, /task/);
  ofTask.close();
  await task.revokeToken();
  await (await client.resumeTask(task.id)).end();
});

test('the SDK says that the certificate is the trouble, and what to name; a file that holds none is no silent refusal', async () => {
  const key = await generateAgentKey(join(directory, 'other.jwk'));
  const trouble = { code: 'server.certificate', message: /--cacert or GATEHOUSE_CACERT/ };
  await assert.rejects(createAgent({ url, agent, key }), trouble);
  await assert.rejects(createOperator({ url, dataDir }).call('GET /status'), trouble);
  await assert.rejects(enrolAgent({ url, agent, key, proof: { joinToken: 'gjt_x' } }), trouble);
  await assert.rejects(createSvidSource({ url, agent, key }).x509(), trouble);
  const elsewhere = (await createAuthority('elsewhere.test')).root;
  await assert.rejects(createAgent({ url, agent, key, ca: elsewhere }), trouble);
  for (const wrong of [join(directory, 'nowhere.pem'), join(directory, 'tls.key'), '-----BEGIN CERTIFICATE-----\nx'])
    await assert.rejects(createAgent({ url, agent, key, ca: wrong }), { code: 'ca.unreadable' });
});

/** @proves sdk.private-authority */
test('so does the command line, as operator and as agent, by option and by variable', async () => {
  const own = { GATEHOUSE_URL: url, GATEHOUSE_DATA_DIR: dataDir };
  const told = createCli(directory, { ...own, GATEHOUSE_CACERT: ca });
  const untold = createCli(directory, own);
  const refused = await untold.run('agents');
  assert.equal(refused.code, 69, refused.stderr);
  assert.match(refused.stderr, /certificate of https:.* is not accepted \(.*--cacert/);
  const none = await untold.run('agents', '--cacert', 'nowhere.pem');
  assert.equal(none.code, 66, none.stderr);
  assert.match((await untold.run('agents', '--cacert', ca)).stdout, /agent-tester-dev/);
  assert.match((await told.run('status')).stdout, /https:/);

  const enrol = told.start(['agent', 'enroll', agent, '--join-token', '-']);
  enrol.stdin?.write(await joinToken());
  const enrolled = await ended(enrol);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const task = ['--agent', agent, '--template', 'try-out', '--intent', 'test'];
  const token = await told.run('token', ...task);
  assert.equal(token.code, 0, token.stderr);
  const script = 'console.log(process.env.GATEHOUSE_TASK)';
  const ran = await told.run('exec', ...task, '--', process.execPath, '-e', script);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^tsk_/);
  const bridge = told.start(['mcp', ...task]);
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } };
  bridge.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`);
  assert.match((await ended(bridge)).stdout, /"serverInfo":\{"name":"gatehouse"/);
});
