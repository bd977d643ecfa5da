import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Clock } from '../platform/index.ts';
import { lastPruned, pruneChanges } from './feed-prune.ts';
import { type Change, type ChangeTopic, FEED_LEASE_MS, type Storage } from './storage.ts';
import { onEachBackend, onPostgres, onSqlite, upTo } from './suite.ts';
import { startAppender } from './suite-processes.ts';

const announce = (storage: Storage, key: string, topic: ChangeTopic = 'agent') =>
  storage.transaction((transaction) => storage.announce(transaction, topic, key, 1));

/** Collects what a replica is told. */
function collector() {
  const seen: Change[] = [];
  return {
    seen,
    keys: () => seen.map((change) => change.key),
    listener: async (changes: Change[]) => void seen.push(...changes),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

onEachBackend(
  'a replica is told of every change after its start, in order, before the waiter goes on',
  async ({ open }) => {
    const storage = await open();
    await announce(storage, 'before');
    assert.equal(storage.feed.fresh(), false, 'nothing is fresh before the feed has started');
    const { seen, keys, listener } = collector();
    await storage.feed.start('a', listener);
    assert.equal(storage.feed.fresh(), true);
    await Promise.all(upTo(50).map((index) => announce(storage, `agent-${index}`)));
    const head = await storage.feed.head();
    assert.deepEqual(await storage.feed.waitForAll(head), { acknowledged: ['a'], expired: [] });
    assert.deepEqual(
      keys(),
      upTo(50).map((index) => `agent-${index}`),
    );
    assert.equal(seen.at(-1)?.sequence, head);
  },
);

onEachBackend(
  'what changed between reading the workspace and the start of the feed is told first, when asked for',
  async ({ open }) => {
    const storage = await open();
    await announce(storage, 'before');
    const since = await storage.feed.head();
    await announce(storage, 'between', 'key');
    const { keys, listener } = collector();
    await storage.feed.start('a', listener, since);
    assert.deepEqual(keys(), ['between']);
    await announce(storage, 'after');
    await storage.feed.waitForAll(await storage.feed.head());
    assert.deepEqual(keys(), ['between', 'after']);
  },
);

onEachBackend('a change that is undone is never heard of', async ({ open }) => {
  const storage = await open();
  const { keys, listener } = collector();
  await storage.feed.start('a', listener);
  const failing = storage.transaction(async (transaction) => {
    await storage.announce(transaction, 'agent', 'undone', 1);
    throw new Error('no');
  });
  await assert.rejects(failing);
  await announce(storage, 'done');
  await storage.feed.waitForAll(await storage.feed.head());
  assert.deepEqual(keys(), ['done']);
});

onEachBackend('more changes than are read at a time arrive all', async ({ open }) => {
  const storage = await open();
  const { keys, listener } = collector();
  await storage.feed.start('a', listener);
  await storage.transaction(async (transaction) => {
    for (const index of upTo(12_345)) await storage.announce(transaction, 'task', `tsk_${index}`, 1);
  });
  await storage.feed.waitForAll(await storage.feed.head());
  assert.deepEqual(
    keys(),
    upTo(12_345).map((index) => `tsk_${index}`),
  );
});

// @proves law-1.reconnects
onEachBackend(
  'a change that could not be applied is applied when it can be, and nothing is fresh before',
  async ({ open }) => {
    const storage = await open();
    const { keys, listener } = collector();
    let failures = 0;
    await storage.feed.start('a', async (changes) => {
      if (++failures <= 2) throw new Error('the database was lost in the middle of it');
      await listener(changes);
    });
    await announce(storage, 'x');
    await until(() => failures > 0);
    assert.equal(storage.feed.fresh(), false, 'what it could not apply may forbid the next call');
    const [{ what, since, problem } = {}] = storage.troubles();
    assert.deepEqual({ what, problem }, { what: 'changes', problem: 'the database was lost in the middle of it' });
    assert.ok(since !== undefined && since <= Date.now());
    await until(storage.feed.fresh);
    assert.deepEqual(keys(), ['x']);
    assert.deepEqual(storage.troubles(), []);
    await announce(storage, 'y');
    assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: ['a'], expired: [] });
  },
);

onEachBackend('a replica that cannot apply a change is not fresh and is not waited for', async ({ open }) => {
  const storage = await open();
  await storage.feed.start('a', async () => {
    throw new Error('cannot');
  });
  await announce(storage, 'x');
  assert.deepEqual((await storage.feed.waitForAll(await storage.feed.head())).acknowledged, []);
  assert.equal(storage.feed.fresh(), false);
});

onEachBackend('a replica that hangs drops out, and is fresh again once it has caught up', async ({ open }) => {
  const storage = await open();
  const { keys, listener } = collector();
  let release = () => {};
  const hanging = new Promise<void>((resolve) => {
    release = resolve;
  });
  await storage.feed.start('a', async (changes) => {
    await hanging;
    await listener(changes);
  });
  await announce(storage, 'first');
  assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: [], expired: ['a'] });
  assert.equal(storage.feed.fresh(), false, 'whoever was told that the replica expired can rely on it');
  await announce(storage, 'second');
  release();
  await until(storage.feed.fresh);
  assert.deepEqual(keys(), ['first', 'second']);
  assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: ['a'], expired: [] });
});

onEachBackend('a feed that has stopped is not waited for and can start again', async ({ open }) => {
  const storage = await open();
  await storage.feed.start('a', async () => {});
  await storage.feed.stop();
  assert.equal(storage.feed.fresh(), false);
  await announce(storage, 'unseen');
  assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: [], expired: [] });
  const { keys, listener } = collector();
  await storage.feed.start('a', listener);
  await announce(storage, 'seen');
  await storage.feed.waitForAll(await storage.feed.head());
  assert.deepEqual(keys(), ['seen']);
});

onSqlite(
  'a clock set forward makes the replica ask again before it is fresh; set back, it gains nothing',
  async ({ open }) => {
    let now = 1_000_000;
    const clock: Clock = { now: () => now };
    const storage = await open({ clock });
    await storage.feed.start('a', async () => {});
    now += FEED_LEASE_MS;
    assert.equal(storage.feed.fresh(), false);
    await announce(storage, 'x');
    await until(storage.feed.fresh);
    now -= 10 * FEED_LEASE_MS;
    await announce(storage, 'y');
    assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: ['a'], expired: [] });
  },
);

onPostgres('two replicas that change things at the same time miss none of each other’s changes', async ({ open }) => {
  const [a, b] = [await open(), await open()];
  const [seenByA, seenByB] = [collector(), collector()];
  await a.feed.start('a', seenByA.listener);
  await b.feed.start('b', seenByB.listener);
  await Promise.all(upTo(100).flatMap((index) => [announce(a, `a${index}`), announce(b, `b${index}`)]));
  const { acknowledged, expired } = await a.feed.waitForAll(await a.feed.head());
  assert.deepEqual({ acknowledged: acknowledged.sort(), expired }, { acknowledged: ['a', 'b'], expired: [] });
  assert.equal(new Set(seenByA.keys()).size, 200);
  assert.deepEqual(seenByA.seen, seenByB.seen);
  const sequences = seenByA.seen.map((change) => change.sequence);
  assert.deepEqual(
    sequences,
    sequences.toSorted((x, y) => x - y),
  );
});

onPostgres('a replica that dies is reported once its lease has run out', async ({ open, options }, t) => {
  const storage = await open();
  await storage.feed.start('a', async () => {});
  const other = await startAppender(t, options, { replica: 'b' });
  const both = await storage.db.selectFrom('replicas').select('id').orderBy('id').execute();
  assert.deepEqual(both, [{ id: 'a' }, { id: 'b' }]);
  other.process.kill('SIGKILL');
  await once(other.process, 'exit');
  await announce(storage, 'x');
  assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: ['a'], expired: ['b'] });
});

onPostgres(
  'a replica cut off from the database denies within its lease, and catches up when it is back',
  async ({ open }, _t, server) => {
    const storage = await open();
    const { keys, listener } = collector();
    await storage.feed.start('a', listener);
    await server.kill();
    try {
      await until(() => !storage.feed.fresh());
    } finally {
      await server.restart();
    }
    await until(storage.feed.fresh);
    await announce(storage, 'after');
    assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: ['a'], expired: [] });
    assert.deepEqual(keys(), ['after']);
  },
);

onEachBackend('a listener that hangs does not keep the process from ending', async ({ open }) => {
  const storage = await open();
  await storage.feed.start('a', () => new Promise(() => {}));
  await announce(storage, 'x');
  await storage.close();
});

onEachBackend(
  'changes that every replica has long seen are dropped, and one that was away for longer stops',
  async ({ open }) => {
    const storage = await open();
    const DAY_MS = 24 * 3_600_000;
    const now = Date.now();
    const changes = upTo(12_000).map((index) => ({ topic: 'task', key: `tsk_${index}`, at: now - 2 * DAY_MS + index }));
    for (let from = 0; from < changes.length; from += 4_000) {
      await storage.db
        .insertInto('changes')
        .values(changes.slice(from, from + 4_000))
        .execute();
    }
    await storage.db.insertInto('changes').values({ topic: 'task', key: 'young', at: now }).execute();
    await pruneChanges(storage.db, now);
    const left = await storage.db.selectFrom('changes').select(['key', 'sequence']).execute();
    assert.deepEqual(
      left.map((change) => change.key),
      ['young'],
    );
    assert.equal(await lastPruned(storage.db), (left[0]?.sequence ?? 0) - 1);

    await storage.feed.start('a', async () => {});
    // As if it had been cut off for days: its row is gone, and so are changes that it has not seen.
    await storage.db
      .updateTable('meta')
      .set({ value: String((left[0]?.sequence ?? 0) + 1) })
      .execute();
    await storage.db.deleteFrom('replicas').execute();
    await until(() => !storage.feed.fresh());
    await announce(storage, 'unseen');
    assert.deepEqual(await storage.feed.waitForAll(await storage.feed.head()), { acknowledged: [], expired: [] });
  },
);
