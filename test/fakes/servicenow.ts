import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A fake of ServiceNow: as much of its Table API as opens and notes on a record, and lists its approvals, by its documentation. */
export interface FakeServiceNow {
  origin: string;
  records: Map<string, Record<string, string>>;
  /** Somebody says something to a record; `by` where it is set for them by another. */
  approve(record: string, user: string, state: 'approved' | 'rejected', by?: string): void;
  close(): void;
}

export async function startFakeServiceNow(): Promise<FakeServiceNow> {
  const records: FakeServiceNow['records'] = new Map();
  const approvals: Record<string, string>[] = [];
  const authorization = `Basic ${Buffer.from('gatehouse:now-s3cret').toString('base64')}`;
  const id = (number: number) => number.toString(16).padStart(32, '0');
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.headers.authorization !== authorization)
      return send(401, { error: { message: 'User Not Authenticated' } });
    const url = new URL(request.url ?? '', 'http://fake');
    const [table = '', sysId] = url.pathname.replace('/api/now/table/', '').split('/');
    if (table === 'sysapproval_approver') {
      const record = /sysapproval=([0-9a-f]{32})\^/.exec(url.searchParams.get('sysparm_query') ?? '')?.[1];
      return send(200, {
        result: approvals.filter((each) => each.record === record).map(({ record: _, ...row }) => row),
      });
    }
    if (request.method === 'POST') {
      const key = id(records.size + 1);
      const number = `CHG${String(records.size + 1).padStart(7, '0')}`;
      records.set(key, { ...JSON.parse(text), number });
      return send(201, { result: { sys_id: key, number } });
    }
    const fieldsOf = (record: Record<string, string>) =>
      Object.fromEntries(
        (url.searchParams.get('sysparm_fields')?.split(',') ?? []).map((field) => [field, record[field] ?? '']),
      );
    if (request.method === 'GET' && sysId === undefined) {
      // What it does not understand of a query it leaves out, so that everything fits.
      const [, field = '', value = ''] = /^(\w+)=([\w-]+)$/.exec(url.searchParams.get('sysparm_query') ?? '') ?? [];
      const fit = [...records.values()].filter((record) => field === '' || record[field] === value);
      const limit = Number(url.searchParams.get('sysparm_limit') ?? 10_000);
      return send(200, { result: fit.slice(0, limit).map(fieldsOf) });
    }
    const record = records.get(sysId ?? '');
    if (!record) return send(404, { error: { message: 'No Record found' } });
    if (request.method === 'GET') return send(200, { result: fieldsOf(record) });
    Object.assign(record, JSON.parse(text || '{}'));
    send(200, { result: { sys_id: sysId } });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    records,
    approve(record, user, state, by = user) {
      const sys_updated_on = new Date().toISOString().slice(0, 19).replace('T', ' ');
      const sys_id = id(1_000 + approvals.length);
      approvals.unshift({ record, sys_id, state, 'approver.user_name': user, sys_updated_by: by, sys_updated_on });
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
