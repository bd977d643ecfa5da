import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LogUnit, LogUnitResult, Storage } from './storage.ts';
import { addApproval, LOG, onEachBackend, unitOf } from './suite.ts';

/**
 * Random writes, asked for at the same time, against a model that carries them out one after another in the order in which they
 * were asked for. Same results, same rows: the writer is serialisable, its queue is fair, and refused units leave no trace.
 */
type Step = { kind: 'append'; unit: UnitPlan } | { kind: 'change'; bumps: string[]; units: UnitPlan[]; fails: boolean };
interface UnitPlan {
  records: number;
  guards: { key: string; isStale: boolean }[];
  approval: string | null;
}

const keys = ['agent:a', 'task:b', 'policy'];
const approvals = ['apr_1', 'apr_2', 'apr_3'];

const unitPlan: fc.Arbitrary<UnitPlan> = fc.record({
  records: fc.integer({ min: 1, max: 3 }),
  guards: fc.array(fc.record({ key: fc.constantFrom(...keys), isStale: fc.boolean() }), { maxLength: 2 }),
  approval: fc.option(fc.constantFrom(...approvals), { freq: 3 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), unit: unitPlan }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      bumps: fc.uniqueArray(fc.constantFrom(...keys), { maxLength: 2 }),
      units: fc.array(unitPlan, { maxLength: 2 }),
      fails: fc.boolean(),
    }),
  },
);
/** Steps of one group are asked for at the same time. */
const groups = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 });

interface Model {
  versions: Map<string, number>;
  approved: Set<string>;
  next: number;
}

/** Makes the units as the model stands when their turn comes, and says what will become of them. */
function expectUnit(model: Model, plan: UnitPlan, run: number): { unit: LogUnit; expected: LogUnitResult } {
  const guards = plan.guards.map(({ key, isStale }) => ({
    key,
    version: (model.versions.get(key) ?? 0) - (isStale ? 1 : 0),
  }));
  const unit = unitOf(plan.records, { guards });
  const approval = plan.approval && `${plan.approval}-${run}`;
  if (approval) unit.consumeApproval = { id: approval, actionId: unit.records[0]?.actionId ?? '', now: 1 };
  const stale = plan.guards.find((guard) => guard.isStale);
  if (stale) return { unit, expected: { ok: false, failed: 'guard', key: stale.key } };
  if (approval && !model.approved.delete(approval)) return { unit, expected: { ok: false, failed: 'approval' } };
  const sequences = unit.records.map((_, index) => model.next + index);
  model.next += unit.records.length;
  return { unit, expected: { ok: true, sequences } };
}

async function runStep(storage: Storage, model: Model, { ...planned }: Step, run: number): Promise<void> {
  if (planned.kind === 'append') {
    const { unit, expected } = expectUnit(model, planned.unit, run);
    assert.deepEqual(await storage.append(unit), expected);
    return;
  }
  const before = { versions: new Map(model.versions), approved: new Set(model.approved), next: model.next };
  const bumped = planned.bumps.map((key) => {
    const version = (model.versions.get(key) ?? 0) + 1;
    model.versions.set(key, version);
    return { key, version };
  });
  const units = planned.units.map((plan) => expectUnit(model, plan, run));
  if (planned.fails) Object.assign(model, before);
  const change = storage.transaction(async (transaction) => {
    for (const { key, version } of bumped) assert.equal(await storage.bumpFence(transaction, key), version);
    for (const { unit, expected } of units) assert.deepEqual(await storage.appendWithin(transaction, unit), expected);
    if (planned.fails) throw new Error('undone on purpose');
  });
  if (planned.fails) await assert.rejects(change, { message: 'undone on purpose' });
  else await change;
}

onEachBackend('whatever is asked for at the same time happens as if one after another', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const model: Model = { versions: new Map(), approved: new Set(), next: 0 };
  let run = 0;
  await fc.assert(
    fc.asyncProperty(groups, async (planned) => {
      run++;
      for (const approval of approvals) {
        await addApproval(storage, `${approval}-${run}`);
        model.approved.add(`${approval}-${run}`);
      }
      for (const group of planned) await Promise.all(group.map((each) => runStep(storage, model, each, run)));

      const fences = await storage.db.selectFrom('fences').selectAll().execute();
      assert.deepEqual(new Map(fences.map((fence) => [fence.key, fence.version])), model.versions);
      const left = await storage.db.selectFrom('approvals').select('id').where('state', '=', 'approved').execute();
      assert.deepEqual(new Set(left.map((row) => row.id)), model.approved);
      const { size } = await storage.db
        .selectFrom('records')
        .select((select) => select.fn.countAll<number>().as('size'))
        .executeTakeFirstOrThrow();
      assert.equal(size, model.next);
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
