import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A fake of Jira Cloud: as much of REST v3 as opens, shows with its changelog, and comments an issue, and its signed webhook, by their documentation. */
export interface FakeJira {
  origin: string;
  issues: Map<string, FakeIssue>;
  comments: string[];
  /** Somebody moves an issue in Jira. */
  move(key: string, accountId: string, status: string): void;
  /** Somebody edits it, with a trace in its changelog unless they know how to leave none. */
  edit(key: string, fields: object, leavesTrace?: boolean): void;
  webhook(key: string, secret?: string): { body: string; headers: Record<string, string> };
  close(): void;
}

interface FakeIssue {
  /** Where it has another key now. */
  key?: string;
  fields: { summary: string; description: unknown; status: { name: string }; labels?: string[] };
  properties: { key: string; value: object }[];
  histories: object[];
}

export const WEBHOOK_SECRET = 'jira-webhook-s3cret';

export async function startFakeJira(): Promise<FakeJira> {
  const issues: FakeJira['issues'] = new Map();
  const comments: string[] = [];
  const authorization = `Basic ${Buffer.from('bot@example.test:jira-t0ken').toString('base64')}`;
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.headers.authorization !== authorization) return send(401, {});
    const path = (request.url ?? '').replace('/rest/api/3/', '').split('?')[0] ?? '';
    if (path === 'project/OPS') return send(200, { key: 'OPS' });
    if (path === 'issue') {
      const { fields, properties } = JSON.parse(text) as {
        fields: { summary: string; description: unknown };
        properties: { key: string; value: object }[];
      };
      const key = `OPS-${issues.size + 1}`;
      issues.set(key, { fields: { ...fields, status: { name: 'To Do' } }, properties, histories: [] });
      return send(201, { id: '10000', key, self: `${origin}/rest/api/3/issue/10000` });
    }
    const [, key = '', comment] = path.split('/');
    const issue = issues.get(key);
    if (!issue) return send(404, { errorMessages: ['Issue does not exist'] });
    if (comment) {
      comments.push(text);
      return send(201, { id: '1' });
    }
    const { status, summary, description, labels = [] } = issue.fields;
    const asked = new URL(request.url ?? '', 'http://fake').searchParams.get('properties')?.split(',') ?? [];
    const properties = Object.fromEntries(
      issue.properties.filter((each) => asked.includes(each.key)).map(({ key: name, value }) => [name, value]),
    );
    const changelog = { total: issue.histories.length, histories: issue.histories };
    // By the key that an issue had before it was moved, it is found as well.
    send(200, { key: issue.key ?? key, fields: { status, summary, description, labels }, properties, changelog });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let moves = 0;
  return {
    origin,
    issues,
    comments,
    move(key, accountId, status) {
      const issue = issues.get(key);
      if (!issue) throw new Error(key);
      const from = issue.fields.status.name;
      issue.fields.status = { name: status };
      issue.histories.unshift({
        id: String(++moves),
        author: { accountId, displayName: 'Somebody', accountType: 'atlassian' },
        created: new Date(Date.now() + moves).toISOString().replace('Z', '+0000'),
        items: [{ field: 'status', fieldtype: 'jira', from: '1', fromString: from, to: '2', toString: status }],
      });
    },
    edit(key, fields, leavesTrace = true) {
      const issue = issues.get(key);
      if (!issue) throw new Error(key);
      Object.assign(issue.fields, fields);
      if (!leavesTrace) return;
      issue.histories.unshift({
        id: String(++moves),
        author: { accountId: 'acc-editor' },
        created: new Date(Date.now() + moves).toISOString().replace('Z', '+0000'),
        items: Object.keys(fields).map((field) => ({ field, fieldtype: 'jira', fromString: '', toString: '' })),
      });
    },
    webhook(key, secret = WEBHOOK_SECRET) {
      const body = JSON.stringify({
        timestamp: Date.now(),
        webhookEvent: 'jira:issue_updated',
        issue_event_type_name: 'issue_generic',
        user: { accountId: 'whoever' },
        issue: { id: '10000', key, fields: { status: { name: 'Approved' } } },
        changelog: { id: '1', items: [{ field: 'status', fromString: 'To Do', toString: 'Approved' }] },
      });
      const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
      return { body, headers: { 'content-type': 'application/json', 'x-hub-signature': signature } };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
