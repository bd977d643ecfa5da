import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentClient } from '@gatehouse/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { parse } from 'yaml';
import { type FakeJira, startFakeJira } from './fakes/jira.ts';
import { type FakeServiceNow, startFakeServiceNow } from './fakes/servicenow.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** The manifests and policies of docs/how-to/decide-by-time-place-and-ticket.md, on a running server. */
const page = readFileSync(
  join(import.meta.dirname, '..', 'docs', 'how-to', 'decide-by-time-place-and-ticket.md'),
  'utf8',
);
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, text = '']) => text);
const [calendar, ticketSystem, jiraSystem, serviceNowSystem] = blocks('yaml').map(
  (text) => parse(text) as ManifestInput,
);
const [policies = ''] = blocks('cedar');

let workspace: Workspace;
let agent: AgentClient;
let jira: FakeJira;
let serviceNow: FakeServiceNow;
const changes = new Map<string, { status: string; agents: string[] }>();
const authorizations = new Set<string | undefined>();
const system = createServer((request, response) => {
  authorizations.add(request.headers.authorization);
  const change = changes.get(request.url?.split('/').at(-1) ?? '');
  response.writeHead(change ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ fields: { status: { name: change?.status }, agents: change?.agents } }));
});

before(async () => {
  await new Promise<void>((resolve) => system.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(system.address() as AddressInfo).port}`;
  workspace = await startWorkspace({ trustedProxies: ['127.0.0.0/8', '::1'] });
  [jira, serviceNow] = await Promise.all([startFakeJira(), startFakeServiceNow()]);
  const secret = (name: string, value: string, to: string) =>
    workspace.operator('PUT /secrets/:name', { params: { name }, body: { value, origins: [to] } });
  await secret('changes-token', 'changes-s3cret', origin);
  await secret('jira-token', 'jira-t0ken', jira.origin);
  await secret('servicenow', 'now-s3cret', serviceNow.origin);
  const at = (manifest: ManifestInput | undefined, base: string, more: object = {}): ManifestInput => {
    const system = manifest as ManifestInput & { kind: 'TicketSystem' };
    const url = system.url.replace(/^https:\/\/[^/]+/, base);
    return { ...system, ...more, url, allowPrivateAddress: true, refreshSeconds: 5 };
  };
  await workspace.apply([
    ...manifests().map((each) =>
      each.kind === 'ToolServer'
        ? {
            ...each,
            tools: {
              ...each.tools,
              get_order: { tier: 1 as const, effects: ['deploy' as const] },
              list_orders: { tier: 1 as const, effects: ['pay' as const] },
              get_ticket: { tier: 1 as const, effects: ['delete' as const] },
            },
          }
        : each,
    ),
    // Always closed, so that the test does not depend on when it runs.
    {
      ...(calendar as ManifestInput & { kind: 'Calendar' }),
      open: [{ days: ['mon'], from: '00:00', to: '00:01' }],
      holidays: everyMonday(),
    },
    at(ticketSystem, origin),
    at(jiraSystem, jira.origin, { user: 'bot@example.test' }),
    at(serviceNowSystem, serviceNow.origin),
    { kind: 'Policy', name: 'context', cedar: policies },
  ]);
  agent = await workspace.agent('agent-a');
});
after(async () => {
  await workspace?.close();
  system.close();
  jira?.close();
  serviceNow?.close();
});

const everyMonday = () => {
  const monday = Date.UTC(2026, 10, 23);
  return Array.from({ length: 500 }, (_, week) => new Date(monday + week * 7 * 86_400_000).toISOString().slice(0, 10));
};

async function call(tool: string, args: Record<string, unknown>, how: { changeRequest?: string; from?: string } = {}) {
  const { from, ...details } = how;
  const task = await agent.startTask({ template: 'all', intent: 'try', ...details });
  const client = new Client({ name: 't', version: '1' });
  const forwarded: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    if (from !== undefined) headers.set('x-forwarded-for', from);
    return task.fetch(input, { ...init, headers });
  };
  await client.connect(new StreamableHTTPClientTransport(task.mcpUrl(), { fetch: forwarded }));
  const answer = await client
    .callTool({ name: `shop__${tool}`, arguments: args })
    .then((result) => JSON.stringify(result))
    .catch((error: Error) => error.message);
  await client.close();
  return answer;
}

/** @proves policy.tickets */
test('a change request counts when it is approved and names the agent', async () => {
  changes.set('CHG-1', { status: 'approved', agents: ['agent-a'] });
  changes.set('CHG-2', { status: 'draft', agents: ['agent-a'] });
  changes.set('CHG-3', { status: 'approved', agents: ['agent-b'] });
  const deploy = (changeRequest?: string) => call('get_order', { order: 1042 }, changeRequest ? { changeRequest } : {});
  assert.match(await deploy('CHG-1'), /1042/);
  for (const other of ['CHG-2', 'CHG-3', 'CHG-4', undefined])
    assert.match(await deploy(other), /approved change request that names the agent/, other);
  assert.deepEqual([...authorizations], ['Bearer changes-s3cret']);
});

/** @proves policy.ticket-systems */
test('so does an issue of Jira Cloud and a change of ServiceNow, as these say it; an answer about another one does not', async () => {
  const deploy = (changeRequest: string) => call('get_order', { order: 1042 }, { changeRequest });
  const issue = (status: string, labels: string[], key?: string) => ({
    ...(key !== undefined && { key }),
    fields: { summary: '', description: null, status: { name: status }, labels },
    properties: [],
    histories: [],
  });
  jira.issues.set('OPS-1', issue('approved', ['agent-a', 'urgent']));
  jira.issues.set('OPS-2', issue('To Do', ['agent-a']));
  jira.issues.set('OPS-3', issue('approved', ['agent-b']));
  jira.issues.set('OPS-4', issue('approved', ['agent-a'], 'OTHER-9'));
  const change = (number: string, approval: string, u_agent: string) =>
    serviceNow.records.set(number, { number, approval, u_agent });
  change('CHG0030001', 'approved', 'agent-a');
  change('CHG0030002', 'requested', 'agent-a');
  change('CHG0030003', 'approved', 'agent-b');
  for (const fits of ['OPS-1', 'CHG0030001']) assert.match(await deploy(fits), /1042/, fits);
  for (const other of ['OPS-2', 'OPS-3', 'OPS-4', 'OPS-5', 'CHG0030002', 'CHG0030003', 'CHG0030004'])
    assert.match(await deploy(other), /approved change request that names the agent/, other);
});

/** @proves network.trusted-proxies */
test('the network of a call is that of its client, as the trusted proxy says', async () => {
  const pay = (from?: string) => call('list_orders', { customer: 'customer-z' }, from === undefined ? {} : { from });
  assert.doesNotMatch(await pay('10.1.2.3'), /office network/);
  assert.match(await pay('198.51.100.9'), /office network/);
  assert.match(await pay('10.1.2.3, 198.51.100.9'), /office network/, 'what a stranger wrote before');
  assert.match(await pay(), /office network/);
});

/** @proves policy.calendars */
test('outside of the hours of a calendar a person is asked', async () => {
  assert.match(await call('get_ticket', { ticket: 1 }), /outside of business hours/);
});
