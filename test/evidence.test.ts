import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import type { Evidence, EvidenceFramework } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { digestJson, type Json } from '../packages/server/src/platform/index.ts';
import { manifests } from './support/fixtures.ts';
import { startPostgres } from './support/postgres.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const frameworks: EvidenceFramework[] = ['questions', 'soc2', 'iso27001', 'hipaa', 'eu-ai-act', 'owasp-asi'];
let dataDir: string;
let reports: Map<EvidenceFramework, Evidence>;
let atOnce: PromiseSettledResult<Evidence>[];

/** One call that runs, one that a person approves, one that is refused; one agent that is killed. */
async function work(workspace: Workspace): Promise<void> {
  await workspace.apply(manifests());
  const approver = await workspace.person('approver@example.test');
  await workspace.person('owner@example.test');
  const auditor = await workspace.person('auditor@example.test');
  assert.equal((await auditor.api('GET /session')).person.email, 'auditor@example.test');
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'refund order 1042' });
  const client = new Client({ name: 'evidence', version: '1' });
  await client.connect(createMcpTransport(task));
  await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
  const refund = {
    name: 'shop__refund_order',
    arguments: { order: 1042, amount_cents: 4_000, currency: 'EUR', reason: 'broken' },
  };
  const asked = await client.callTool(refund);
  const waiting = asked._meta?.['gatehouse/approval'] as { id: string } | undefined;
  await approver.approve(waiting?.id ?? '');
  assert.notEqual((await client.callTool(refund)).isError, true);
  await client.callTool({ name: 'shop__drop_table', arguments: { table: 'orders' } });
  await client.close();
  await workspace.agent('agent-b');
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'a drill' } });
}

const period = () => ({ from: '2020-01-01T00:00:00Z', to: String(Date.now() + 60_000) });
const make = (workspace: Workspace, framework: EvidenceFramework) =>
  workspace.operator('POST /evidence', { body: { framework, ...period() } });

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-'));
  const workspace = await startWorkspace({ dataDir });
  await work(workspace);
  reports = new Map();
  for (const framework of frameworks) reports.set(framework, await make(workspace, framework));
  atOnce = await Promise.allSettled([make(workspace, 'soc2'), make(workspace, 'soc2')]);
  await workspace.close();
});
after(() => rmSync(dataDir, { recursive: true, force: true }));

const reportOf = (framework: EvidenceFramework): Evidence => {
  const report = reports.get(framework);
  assert.ok(report);
  return report;
};

/** @proves evidence.rows */
describe('a report', () => {
  test('has a row for every control: checks that exist and were asked, or why it is not covered', () => {
    for (const framework of frameworks) {
      const { report } = reportOf(framework);
      for (const { id, status, checks, remark } of report.controls) {
        if (status === 'not-covered') assert.ok(remark && checks.length === 0, `${framework} ${id}`);
        else {
          assert.ok(checks.length > 0, `${framework} ${id}`);
          for (const each of checks)
            assert.ok(
              report.checks.some((check) => check.id === each),
              each,
            );
        }
      }
      assert.deepEqual(
        report.checks.filter(({ finding }) => finding.startsWith('This could not be looked at')),
        [],
      );
    }
  });

  test('answers the five questions with what the workspace has done', () => {
    const { report } = reportOf('questions');
    assert.equal(report.controls.length, 5);
    const statusOf = (id: string) => report.checks.find((check) => check.id === id)?.status;
    for (const met of [
      'approvals.given',
      'approvals.signed',
      'approvals.by-others',
      'log.intact',
      'actions.attributed',
      'agents.kill-final',
    ])
      assert.equal(statusOf(met), 'met', met);
    assert.equal(statusOf('agents.budgets'), 'not-met', 'there is none');
  });

  test('says what is not met: nobody has backed up, and connections are without TLS', () => {
    const { report } = reportOf('soc2');
    const statusOf = (id: string) => report.controls.find((control) => control.id === id)?.status;
    assert.deepEqual([statusOf('CC7.5'), statusOf('CC6.7'), statusOf('CC6.4')], ['not-met', 'not-met', 'not-covered']);
  });

  test('is HTML that holds no script and shows everything as text, and a PDF', () => {
    for (const { html, pdf } of reports.values()) {
      assert.doesNotMatch(html, /<script|onload=|javascript:/);
      assert.equal(Buffer.from(pdf, 'base64').subarray(0, 5).toString(), '%PDF-');
    }
  });
});

/** Takes away what a check rests on. SQL, on a copy of the database as it stands when the server is down. */
const takenAway: Record<string, string> = {
  'actions.attributed': "update records set agent = null where kind = 'dispatch'",
  'actions.decided': "update records set effect = 'deny' where kind = 'dispatch'",
  'actions.closed':
    "delete from records where kind = 'outcome'; update records set at = at - 7200000 where kind = 'dispatch'",
  'environments.separate': `update records set entry = replace(entry, '"environment":"production"', '"environment":"staging"')`,
  'approvals.given': "delete from records where operation = 'approval.approve'",
  'approvals.signed': 'delete from approvals',
  'approvals.by-others': "update approval_votes set person = 'agent-a'",
  'approvals.considered': `create table t as select * from approvals where decided_by is not null;
    ${"update t set id = id || 'x', digest = digest || 'x', decided_at = created_at + 1000; insert into approvals select * from t;".repeat(25)}
    drop table t`,
  'agents.own-identity': "insert into agent_keys (thumbprint, agent) values ('x', 'agent-of-nobody')",
  'people.passkeys': 'delete from passkeys',
  'people.sessions-end': 'update people_sessions set expires_at = expires_at + 31536000000',
  'agents.kill-final': "update agents set killed_at = 1 where name = 'agent-a'",
  'policies.recorded': "delete from records where operation = 'policy.version'",
  'tools.definitions-reviewed': "update definitions set state = 'held', seen_at = 1",
  'log.intact': "update records set entry = replace(entry, 'agent-a', 'agent-x')",
  'log.intact (of another log)': `create table t as select * from logs limit 1; update t set id = 'gone.test/log/one'; insert into logs select * from t;
    drop table t; create table t as select * from records limit 1; update t set log = 'gone.test/log/one';
    insert into records select * from t; drop table t`,
  'log.kept': 'delete from records where sequence < 3',
  'keys.rotated': 'update signing_keys set created_at = 1',
  'agents.owned': "update agents set owner = 'nobody@example.test'",
};

/** @proves evidence.bounded */
describe('a report on a large record', () => {
  test('reads it once for each question: records are never compared with records but by an index of what ties them', () => {
    const db = new DatabaseSync(join(dataDir, 'gatehouse.db'), { readOnly: true });
    const queries = new Set(
      [...reports.values()].flatMap(({ report }) => report.checks.flatMap((each) => each.queries)),
    );
    let compared = 0;
    for (const query of queries) {
      const [sql = '', parameters = ''] = query.split('\n-- ');
      const plan = db.prepare(`explain query plan ${sql}`).all(...JSON.parse(parameters));
      const looks = plan
        .map(({ detail }) => String(detail))
        .filter((detail) => /^(SCAN|SEARCH) (records|answers|outcomes|own)\b/.test(detail));
      if (looks.length < 2) continue;
      compared++;
      const tied =
        /^SEARCH .* USING (COVERING )?INDEX (records_given|records_action|sqlite_autoindex_records_1) \((approval|action_id|log)=\?/;
      const loose = looks.filter((detail) => !tied.test(detail));
      assert.ok(loose.length <= 1, `${sql}\n${loose.join('\n')}`);
    }
    assert.ok(compared >= 2);
    db.close();
  });

  test('is made alone: whoever asks for another meanwhile is told to wait', () => {
    const refused = atOnce.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    assert.deepEqual(
      refused.map(({ problem }) => problem.title),
      ['evidence.busy'],
    );
  });
});

/** @proves evidence.not-met */
describe('when what supports a row is gone, the row is not met', () => {
  for (const [name, sql] of Object.entries(takenAway))
    test(name, async () => {
      const check = name.replace(/ .*/, '');
      const framework = frameworks.find((each) => reportOf(each).report.checks.some(({ id }) => id === check));
      assert.ok(framework, 'some framework has it');
      assert.equal(reportOf(framework).report.checks.find(({ id }) => id === check)?.status, 'met', 'as it was');
      const copy = mkdtempSync(join(tmpdir(), 'gatehouse-'));
      cpSync(dataDir, copy, { recursive: true });
      const db = new DatabaseSync(join(copy, 'gatehouse.db'));
      db.exec(sql);
      db.close();
      const workspace = await startWorkspace({ dataDir: copy });
      try {
        const { report } = await make(workspace, framework);
        assert.equal(report.checks.find(({ id }) => id === check)?.status, 'not-met');
        const control = report.controls.find(({ checks }) => checks.includes(check));
        assert.equal(control?.status, 'not-met');
      } finally {
        await workspace.close();
        rmSync(copy, { recursive: true, force: true });
      }
    });

  test('each check that this workspace meets is among them, or looks at what is declared', () => {
    const declared = ['people.duties-separated', 'agents.least-privilege', 'tools.labelled', 'transport.encrypted'];
    const met = new Set(
      [...reports.values()]
        .flatMap(({ report }) => report.checks.filter(({ status }) => status === 'met'))
        .map(({ id }) => id),
    );
    assert.deepEqual(
      [...met].filter((id) => !(id in takenAway) && !declared.includes(id)),
      [],
    );
  });
});

/** @proves evidence.signed */
describe('the digest of a report is on record', () => {
  test('and is that of the JSON', () => {
    for (const { report, digest, receipt } of reports.values()) {
      assert.equal(digestJson(report as unknown as Json), digest);
      assert.ok(receipt?.entry.includes(digest));
    }
  });

  test('anybody verifies it offline with the log’s key; a report that was touched up is found', async () => {
    const { verify } = await import('../packages/cli/src/commands/evidence-verify.ts');
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-evidence-'));
    const { report, receipt, receipts } = reportOf('soc2');
    assert.ok(receipt);
    const said: string[] = [];
    const out = {
      json: false,
      print: (line: string) => said.push(line),
      note: () => undefined,
      style: (_: unknown, each: string) => each,
    };
    const write = (changed: unknown) => {
      writeFileSync(join(directory, 'evidence.json'), JSON.stringify(changed));
      writeFileSync(
        join(directory, 'receipts.json'),
        JSON.stringify({ format: 'gatehouse-evidence-receipts/1', receipt, receipts }),
      );
    };
    const run = (...key: string[]) => verify({ args: [directory], options: { key }, out } as never);
    write(report);
    const [name = '', ...own] = receipt.vkey.split('+');
    const stranger = ['log.elsewhere', ...own].join('+');
    assert.equal(await run(stranger, receipt.vkey), 0, said.join('\n'));
    await assert.rejects(run(), { code: 'verify.key' });
    assert.equal(await run(stranger), 1, 'a key of another log is none of this one');
    assert.match(said.at(-1) ?? '', new RegExp(`no key of the log ${name} was given`));
    receipts.push({ ...receipt, sequence: receipt.sequence + 1 });
    write(report);
    assert.equal(await run(receipt.vkey), 1, 'a receipt is of the record that it says');
    receipts.pop();
    const touchedUp = JSON.parse(readFileSync(join(directory, 'evidence.json'), 'utf8'));
    touchedUp.controls[0].status = 'met';
    touchedUp.controls[0].remark = 'all is well';
    write(touchedUp);
    assert.equal(await run(receipt.vkey), 1);
    assert.match(said.at(-1) ?? '', /not the report that is on record/);
    write({ ...report, checks: report.checks.map((check) => ({ ...check, records: [{ log: 'x', sequence: 1 }] })) });
    assert.equal(await run(receipt.vkey), 1);
    rmSync(directory, { recursive: true, force: true });
  });
});

/** @proves evidence.rows */
test('on PostgreSQL every check can be asked as well', async (context) => {
  const postgres = await startPostgres();
  if (!postgres) return context.skip('PostgreSQL is missing: see above');
  try {
    const { url } = await postgres.createDatabase();
    const workspace = await startWorkspace({ database: url });
    await workspace.apply(manifests());
    for (const framework of frameworks) {
      const { report } = await make(workspace, framework);
      const broken = report.checks.filter(({ finding }) => finding.startsWith('This could not be looked at'));
      assert.deepEqual(broken, []);
    }
    await workspace.close();
  } finally {
    await postgres.close();
  }
});
