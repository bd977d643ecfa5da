import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { onEachDatabase, onPostgres } from '../../identity/people/testing/databases.ts';
import { openExportHouse, until } from './testing/house.ts';
import { idsOf, openReceiver, type Received } from './testing/receiver.ts';

const exporter = join(import.meta.dirname, 'testing/exporter.ts');

function start(context: TestContext, ...args: string[]): { child: ChildProcess; said: () => string } {
  const child = spawn(process.execPath, [exporter, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout?.on('data', (chunk) => {
    said += chunk;
  });
  return { child, said: () => said };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Every line that came, by its id: what came twice came the same. */
function linesById(taken: readonly Received[]): Map<string, string> {
  const lines = new Map<string, string>();
  for (const { body } of taken)
    for (const line of body.toString().split('\n').filter(Boolean)) {
      const { log, sequence } = JSON.parse(line) as { log: string; sequence: number };
      const id = `${log}/${sequence}`;
      assert.equal(line, lines.get(id) ?? line, 'one id stands for two events');
      lines.set(id, line);
    }
  return lines;
}

onEachDatabase('delivery and kill -9', (database) => {
  /** @proves export.delivered */
  test('killed again and again in the middle, nothing is lost, and what comes twice has the id that it had', async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-export-'));
    context.after(() => rmSync(dataDir, { recursive: true, force: true }));
    const place = await database();
    // Slow enough that a batch is always under way.
    const receiver = await openReceiver((_, answer) => void setTimeout(() => answer.writeHead(200).end(), 5));
    context.after(() => receiver.close());
    for (const rest of [40, 200]) {
      const before = receiver.taken.length;
      const { child } = start(context, place, dataDir, 'replica-a', receiver.url, '200');
      await until(() => receiver.taken.length > before, 60_000);
      await wait(rest);
      await kill(child);
    }
    const last = start(context, place, dataDir, 'replica-a', receiver.url, '50');
    await until(() => last.said().includes('done'), 60_000);
    await kill(last.child);
    const house = await openExportHouse({ database: place, dataDir, replica: 'replica-z' });
    context.after(() => house.close());
    const rows = await house.storage.db
      .selectFrom('records')
      .select(['log', 'sequence'])
      .where('log', 'like', '%replica-a%')
      .execute();
    const lines = linesById(receiver.taken);
    assert.ok(rows.length > 150);
    for (const { log, sequence } of rows) assert.ok(lines.has(`${log}/${sequence}`), `${log}/${sequence} is lost`);
  });
});

onPostgres('delivery by several replicas', (database) => {
  /** @proves export.one-sender */
  test('one replica delivers for all; when it is killed, another goes on where it was', async (context) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-export-'));
    context.after(() => rmSync(dataDir, { recursive: true, force: true }));
    const place = await database();
    const receiver = await openReceiver();
    context.after(() => receiver.close());
    const { child, said } = start(context, place, dataDir, 'replica-a', receiver.url, '200');
    await until(() => said().includes('done'), 30_000);
    const house = await openExportHouse({ database: place, replica: 'replica-b' });
    context.after(() => house.close());
    await house.registry.refresh([]);
    house.sinks.refresh();
    await house.act(100);
    await until(async () => (await house.sinks.show('hook')).backlog === 0);
    assert.equal((await house.sinks.show('hook')).replica, 'replica-a');
    const ids = idsOf(receiver.taken);
    assert.equal(new Set(ids).size, ids.length, 'both have delivered');
    assert.ok(ids.some((id) => id.includes('/log/replica-b/')));
    await kill(child);
    await house.act(100);
    await until(async () => (await house.sinks.show('hook')).replica === 'replica-b', 20_000);
    await until(async () => (await house.sinks.show('hook')).backlog === 0);
    const rows = await house.storage.db.selectFrom('records').select(['log', 'sequence']).execute();
    const lines = linesById(receiver.taken);
    for (const { log, sequence } of rows) assert.ok(lines.has(`${log}/${sequence}`), `${log}/${sequence} is lost`);
  });
});
