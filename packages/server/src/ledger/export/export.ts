import type { ActionRecord, SinkDetail, SinkManifest, SinkTest, SinkView } from '@gatehouse/protocol';
import { type Clock, canonicalJson, GatehouseError, type Log, newId } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import { encode } from './formats/index.ts';
import { exportLimits } from './limits.ts';
import { plainLine } from './line.ts';
import { createPositions } from './positions.ts';
import { type Credentials, createReader } from './reader.ts';
import { runSink } from './run-sink.ts';
import { openDestination } from './sinks/index.ts';
import type { Encoded, Tools } from './types.ts';
import { createSinkViews } from './views.ts';

export interface ExportDependencies extends Omit<Tools, 'clock'> {
  storage: Storage;
  registry: Pick<Registry, 'snapshot'>;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
  replica: string;
  origin: string;
  random?: () => number;
}

/** The record's way to receivers outside. */
export interface Export {
  list(): Promise<SinkView[]>;
  /** Throws `sink.unknown`. */
  show(name: string): Promise<SinkDetail>;
  /** Sends an event that is made up, past the queue. */
  test(name: string, by: string): Promise<SinkTest>;
  pause(name: string, by: string): Promise<SinkDetail>;
  /** What was recorded until now goes by its age, whether it has taken it or not. */
  letGo(name: string, by: string): Promise<SinkDetail>;
  resume(name: string, by: string): Promise<SinkDetail>;
  /** Goes back to a time or a place, never forward. */
  replay(name: string, to: ReplayFrom, by: string): Promise<SinkDetail>;
  /** Begins, ends and begins anew what the manifests say. Called again and again. */
  refresh(): void;
  close(): Promise<void>;
}

export type ReplayFrom = { time: string } | { log: string; sequence: number };

export function createExport(deps: ExportDependencies): Export {
  const { storage, registry, recordChange, clock, log, replica, random = Math.random, ...rest } = deps;
  const tools: Tools = { ...rest, clock };
  const positions = createPositions(storage, clock, replica);
  const views = createSinkViews(storage, positions, clock);
  const running = new Map<string, { text: string; stop: () => Promise<void> }>();
  const stopping = new Set<Promise<void>>();

  function find(name: string): SinkManifest {
    const sink = registry.snapshot().sinks.get(name);
    if (sink) return sink;
    throw new GatehouseError(
      'not-found',
      'sink.unknown',
      `There is no sink "${name}". \`gatehouse sinks list\` shows what there is; a sink is declared by a manifest.`,
    );
  }

  let credentials: { servers: unknown; byTool: Credentials } | undefined;
  function credentialsNow(): Credentials {
    const { servers } = registry.snapshot();
    if (credentials?.servers !== servers) {
      const named = [...servers].flatMap(([server, { manifest }]) =>
        Object.entries(manifest.tools).map(([tool, setting]): [string, string[]] => [
          `${server}/${tool}`,
          Object.entries(setting.arguments ?? {}).flatMap(([name, { role }]) => (role === 'credential' ? [name] : [])),
        ]),
      );
      credentials = { servers, byTool: Object.fromEntries(named) };
    }
    return credentials.byTool;
  }
  const reader = createReader({ place: storage.place, surroundings: { version: deps.version } }, credentialsNow);

  function start(sink: SinkManifest): () => Promise<void> {
    const undisputed = () => madeUp(sink, 'gatehouse');
    const destination = openDestination(sink, tools);
    return runSink({ sink, reader, positions, destination, undisputed, clock, log, random });
  }

  function end(name: string): void {
    const stopped = running.get(name)?.stop();
    running.delete(name);
    if (!stopped) return;
    const settled = stopped
      .catch((error) => log.warn('a sink could not be ended in order', { sink: name, error }))
      .finally(() => stopping.delete(settled));
    stopping.add(settled);
  }

  /** Of no log: nobody takes it for a record. */
  function madeUp(sink: SinkManifest, by: string): Encoded {
    const at = clock.now();
    const record = testRecord(sink, by, at, replica);
    const place = { log: `${deps.origin}/sink-test/${replica}`, sequence: at, leafHash: '0'.repeat(64), record };
    return encode(sink.format, place, { version: deps.version });
  }

  async function change(name: string, by: string, operation: string, words: string, row: object): Promise<SinkDetail> {
    const sink = find(name);
    await positions.row(name);
    await storage.transaction(async (transaction) => {
      await transaction.updateTable('sinks').set(row).where('name', '=', name).execute();
      await recordChange(transaction, { operation, by, changes: [words] });
    });
    return views.detail(sink);
  }

  return {
    list: () => Promise.all([...registry.snapshot().sinks.values()].map((sink) => views.view(sink))),

    show: async (name) => views.detail(find(name)),

    async test(name, by) {
      const sink = find(name);
      await storage.transaction((transaction) =>
        recordChange(transaction, {
          operation: 'sink.test',
          by,
          changes: [`a test event was sent to the sink ${name}`],
        }),
      );
      const event = madeUp(sink, by);
      const began = performance.now();
      const destination = openDestination(sink, tools);
      let problem: string | null = null;
      try {
        const { refused } = await destination.send([event], AbortSignal.timeout(2 * sink.timeoutMs));
        problem = refused.get(0) ?? null;
      } catch (error) {
        problem = plainLine(error instanceof Error ? error.message : String(error), exportLimits.problemChars);
      } finally {
        await destination.close();
      }
      return { ok: problem === null, problem, tookMs: Math.round(performance.now() - began), id: event.id };
    },

    pause: (name, by) =>
      change(name, by, 'sink.pause', `the sink ${name} is paused: nothing is sent, and nothing is lost`, {
        paused_at: clock.now(),
        paused_by: by,
        owner: null,
        owned_until: 0,
      }),

    resume: (name, by) =>
      change(name, by, 'sink.resume', `the sink ${name} is resumed`, { paused_at: null, paused_by: null }),

    letGo: (name, by) =>
      change(
        name,
        by,
        'sink.let-go',
        `what was recorded until now may go by its age, whether the sink ${name} has taken it or not`,
        { let_go_at: clock.now() },
      ),

    async replay(name, to, by) {
      const sink = find(name);
      await positions.row(name);
      const moved = await views.placesOf(sink, to);
      await storage.transaction(async (transaction) => {
        for (const { log, sequence } of moved) {
          await transaction
            .updateTable('sink_positions')
            .set({ sequence })
            .where('sink', '=', name)
            .where('log', '=', log)
            // Nothing is left out by it.
            .where('sequence', '>', sequence)
            .execute();
          await transaction
            .deleteFrom('sink_quarantine')
            .where('sink', '=', name)
            .where('log', '=', log)
            .where('sequence', '>=', sequence)
            .execute();
        }
        const from = 'time' in to ? to.time : `${to.log}/${to.sequence}`;
        await recordChange(transaction, {
          operation: 'sink.replay',
          by,
          changes: [`the sink ${name} is sent again from ${from}`],
        });
      });
      return views.detail(sink);
    },

    refresh() {
      const wanted = new Map([...registry.snapshot().sinks].slice(0, exportLimits.sinks));
      for (const [name, { text }] of running) {
        const sink = wanted.get(name);
        if (!sink || canonicalJson(sink) !== text) end(name);
      }
      for (const [name, sink] of wanted)
        if (!running.has(name)) running.set(name, { text: canonicalJson(sink), stop: start(sink) });
    },

    async close() {
      for (const name of [...running.keys()]) end(name);
      await Promise.all(stopping);
      await reader.close();
    },
  };
}

function testRecord(sink: SinkManifest, by: string, at: number, replica: string): ActionRecord {
  return {
    v: 1,
    kind: 'change',
    action_id: newId('act', at),
    time: new Date(at).toISOString(),
    replica,
    operation: 'sink.test',
    agent: null,
    actor_chain: [{ sub: by, profile: by.startsWith('person:') ? 'user' : 'ai_agent' }],
    requested_by: by.startsWith('person:') ? by : null,
    on_behalf_of: null,
    task: null,
    intent: null,
    model_provider: null,
    model: null,
    environment: null,
    template: null,
    tool: null,
    tool_definition: null,
    resource: null,
    arguments_digest: null,
    decision: null,
    labels: [],
    approval: null,
    credentials: [],
    ticket: null,
    change_request: null,
    result: null,
    result_digest: null,
    changes: [`a test of the sink ${sink.name}`],
    detail: null,
  };
}
