import type { LiveEvent, SequencedRecord } from '@gatehouse/protocol';
import type { QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { addRecords, fromSummary, type LiveAction } from '../lib/activity.ts';
import { call, EVENTS_ADDRESS } from './client.ts';
import { isSignedOut } from './problem.ts';

/** `live`: records arrive as they become durable; `offline`: the stream is down and is being tried again. */
export type LiveState = 'connecting' | 'live' | 'offline';

export interface Live {
  state: LiveState;
  /** Newest first; null until the first page has come. */
  actions: LiveAction[] | null;
}

const KEPT_ACTIONS = 300;
/** Records are drawn together: under load there are thousands a second, and nobody reads that fast. */
const DRAW_EVERY_MS = 200;
/** Lists that show what a record may have changed are asked for again at most this often. */
const REFRESH_EVERY_MS = 1_500;
/** What else a record may have changed, by how its operation begins: the first words of the queries' keys. */
const touched: [RegExp, string[]][] = [
  [/^(person|passkey|session|scim|identity-provider|manifest)\b/, ['people', 'sessions', 'scim-tokens']],
  [/^push\b/, ['push-subscriptions']],
  [/^delegation\b/, ['delegations']],
  [/^(hold|erasure)\b/, ['holds', 'erasures']],
  [/^(hold|retention|manifest)\b/, ['retention']],
  [/^(key|key-encryption|trust-domain)\b/, ['keys', 'trust-domain']],
  [/^(manifest|workload|agent\.enrol)/, ['trust-rules', 'workloads', 'trust-domain']],
  [/^(secret|server|upstream)\b/, ['secrets', 'servers']],
  [/^(join-token|agent\.enrol)/, ['join-tokens']],
  [/^(manifest|approval|channel)\b/, ['channels']],
  [/^(manifest|sink)\b/, ['sinks']],
  [/^(manifest|policy|proposal)\b/, ['policies', 'versions', 'proposals', 'templates']],
  [/^(tools|resources|prompts|manifest)\b/, ['budgets']],
  [/^(lease|tools|resources|prompts|agent|task|manifest)\b/, ['leases']],
  [/^(manifest|secret)\b/, ['providers']],
];
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];

let snapshot: Live = { state: 'connecting', actions: null };
const listeners = new Set<() => void>();

function publish(next: Partial<Live>): void {
  snapshot = { ...snapshot, ...next };
  for (const listener of listeners) listener();
}

export function useLive(): Live {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => snapshot,
  );
}

/** Follows `/events` for as long as somebody is signed in. Returns the way to stop. */
export function startLive(queries: QueryClient): () => void {
  let source: EventSource | undefined;
  let attempt = 0;
  let stopped = false;
  let waiting: SequencedRecord[] = [];
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const later = (work: () => void, delayMs: number) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, delayMs);
    timers.add(timer);
  };
  publish({ state: 'connecting', actions: null });

  let refreshing = false;
  const stale = new Set<string>();
  function refreshLists(): void {
    if (refreshing) return;
    refreshing = true;
    later(() => {
      refreshing = false;
      const keys = ['actions', 'agents', 'tasks', ...stale];
      stale.clear();
      for (const key of keys) void queries.invalidateQueries({ queryKey: [key] });
    }, REFRESH_EVERY_MS);
  }

  function take(record: SequencedRecord): void {
    // That somebody looks changes nothing, and asking again would be the next look.
    if (record.record.operation === 'log.read') return;
    if (waiting.push(record) === 1) later(draw, DRAW_EVERY_MS);
    const { operation } = record.record;
    if (operation.startsWith('definition.') || operation.startsWith('manifest.'))
      for (const key of ['definitions', 'tools', 'servers']) void queries.invalidateQueries({ queryKey: [key] });
    for (const [operations, keys] of touched) if (operations.test(operation)) for (const key of keys) stale.add(key);
    refreshLists();
  }

  function draw(): void {
    const records = waiting.slice(-KEPT_ACTIONS * 4);
    waiting = [];
    // Before the first page has come they stay for it.
    if (snapshot.actions === null) waiting = records;
    else publish({ actions: addRecords(snapshot.actions, records, KEPT_ACTIONS) });
  }

  async function loadFirstPage(): Promise<void> {
    const { items } = await call('GET /actions', { query: { limit: 100 } });
    const records = waiting;
    waiting = [];
    if (!stopped) publish({ actions: addRecords(items.map(fromSummary), records, KEPT_ACTIONS) });
  }

  function connect(): void {
    source = new EventSource(EVENTS_ADDRESS);
    source.onopen = () => {
      attempt = 0;
      publish({ state: 'live' });
      // What happened while nobody listened is only in the lists.
      loadFirstPage().catch(lost);
      void queries.invalidateQueries();
    };
    source.onerror = () => lost();
    const on = (type: LiveEvent['type'], handle: (event: LiveEvent) => void) =>
      source?.addEventListener(type, (message) => handle(JSON.parse(message.data) as LiveEvent));
    on('record', (event) => event.type === 'record' && take(event.record));
    on('approval', (event) => {
      if (event.type !== 'approval') return;
      const queryKey = ['approvals', 'one', event.approval.id];
      // What was asked for before would come later, and show what it was then.
      void queries.cancelQueries({ queryKey }).then(() => queries.setQueryData(queryKey, event.approval));
      void queries.invalidateQueries({ queryKey: ['approvals', 'pending'] });
      void queries.invalidateQueries({ queryKey: ['approvals', 'list'] });
    });
    on('agent', (event) => {
      if (event.type !== 'agent') return;
      queries.setQueryData(['agents', event.agent.name], event.agent);
      void queries.invalidateQueries({ queryKey: ['agents'] });
    });
  }

  /** EventSource gives up for good on an error status, and does not say which; a request for the session tells. */
  function lost(): void {
    source?.close();
    if (stopped) return;
    publish({ state: 'offline' });
    const delayMs = RETRY_MS[Math.min(attempt++, RETRY_MS.length - 1)] ?? 10_000;
    later(() => {
      call('GET /session').then(connect, (error) => {
        if (isSignedOut(error)) void queries.invalidateQueries({ queryKey: ['session'] });
        else lost();
      });
    }, delayMs);
  }

  connect();
  return () => {
    stopped = true;
    source?.close();
    for (const timer of timers) clearTimeout(timer);
  };
}
