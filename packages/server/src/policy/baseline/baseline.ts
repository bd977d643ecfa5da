import { createSecretKey } from 'node:crypto';
import { type BaselineView, baseline as baselineSettings, type Deviation } from '@gatehouse/protocol';
import { type Clock, GatehouseError, isJsonObject, type Json, type Log } from '../../platform/index.ts';
import type { RegisteredTool, Registry } from '../../registry/index.ts';
import type { Change, RecordChange, Storage } from '../../storage/index.ts';
import { deviationsOf, sizeDeviation } from './deviations.ts';
import { baselineLimits as limits } from './limits.ts';
import { type Arguments, bytesOf, lookAt, whenIs } from './look.ts';
import { accept } from './profile.ts';
import { type Addition, add, fenceOf, type Known, read, write } from './store.ts';
import { viewOf } from './view.ts';
import { createWaiting } from './waiting.ts';

/** A call that has run. */
export interface EndedCall {
  agent: string;
  tool: RegisteredTool;
  arguments: Json;
  /** As they were when it was decided. */
  deviations: readonly Deviation[];
  /** A person has approved it. */
  approved: boolean;
  /** It was done, as far as is known: nothing is learned from what failed. */
  succeeded: boolean;
  /** Null: nobody here has seen it. */
  result: Json;
}

/** What agents usually do, and in what a call differs from it. */
export interface Baseline {
  /** In memory already: then there is nothing to wait for. Ask again after waiting. */
  ready(agent: string): Promise<void> | undefined;
  /** How a call compares with what its agent usually does. From memory. */
  look(
    agent: string,
    call: { tool: RegisteredTool; arguments: Json },
    now: number,
  ): { firstUse: boolean; deviations: Deviation[] };
  /** Counts for the rate before it is known what comes of it. */
  dispatched(agent: string, tool: string): void;
  /** Learns from a call. What is unusual about its result, in words. */
  ended(call: EndedCall): Deviation | undefined;
  /** For people: as the database has it now. */
  show(agent: string): Promise<BaselineView>;
  /** Begins anew: until it is known again, nothing that the agent does is unusual. */
  reset(agent: string, by: string, reason: string): Promise<void>;
  /** What was unusual about one tool is usual from now on. */
  accept(agent: string, tool: string, by: string, reason: string): Promise<void>;
  refresh(changes: readonly Change[]): void;
  /** Writes what was learned; part of closing. */
  write(): Promise<void>;
  /** Forgets agents that are gone for good. */
  sweep(): Promise<void>;
}

interface Held {
  known: Known;
  readAt: number;
  /** Calls sent from here, in one hour: by tool, and with '' all of them. */
  sent: { hour: number; calls: Map<string, number> };
}

export interface BaselineDependencies {
  storage: Storage;
  registry: Pick<Registry, 'snapshot'>;
  recordChange: RecordChange;
  /** 32 bytes, the same on every replica and after a restart: digests of resources are made with it. */
  key: Uint8Array;
  clock: Clock;
  log: Log;
}

/**
 * Baselines in memory, the most recently used last, over those in the database. What is learned is kept here until it is written, all that
 * waits at once: several replicas add to one baseline, each what its own calls have taught.
 */
export function createBaseline({ storage, registry, recordChange, key, clock, log }: BaselineDependencies): Baseline {
  const held = new Map<string, Held>();
  const loading = new Map<string, Promise<void>>();
  const waiting = createWaiting();
  const secret = createSecretKey(key);
  const looked = new WeakMap<object, { tool: RegisteredTool; found: Arguments }>();

  /** The same arguments are looked at before a call and after it. */
  function argumentsOf(tool: RegisteredTool, given: Json): Arguments {
    const known = isJsonObject(given) ? looked.get(given) : undefined;
    if (known?.tool === tool) return known.found;
    const found = lookAt(secret, tool, given);
    if (isJsonObject(given)) looked.set(given, { tool, found });
    return found;
  }

  function settingsOf(agent: string) {
    const { agents, environments } = registry.snapshot();
    return environments.get(agents.get(agent)?.manifest.environment ?? '')?.baseline ?? defaults;
  }

  function put(agent: string, known: Known): void {
    const sent = held.get(agent)?.sent ?? { hour: 0, calls: new Map() };
    for (const addition of waiting.of(agent, known.generation)) addTo(agent, known, addition);
    held.delete(agent);
    held.set(agent, { known, readAt: clock.now(), sent });
    for (const oldest of held.keys()) {
      if (held.size <= limits.agents) break;
      if (oldest !== agent && !waiting.has(oldest)) held.delete(oldest);
    }
  }

  const addTo = (agent: string, known: Known, addition: Addition) =>
    add(known, addition, settingsOf(agent), limits.toolsPerAgent);

  function load(agent: string): Promise<void> {
    let current = loading.get(agent);
    current ??= read(storage.db, agent, settingsOf(agent).zone)
      .then((known) => {
        // While it was read something was written; what is here has that already.
        if (!waiting.isWriting(agent) || !held.has(agent)) put(agent, known);
      })
      .finally(() => loading.delete(agent));
    loading.set(agent, current);
    return current;
  }

  function sentOf({ sent }: Held, hour: number): Map<string, number> {
    if (sent.hour !== hour) {
      sent.hour = hour;
      sent.calls.clear();
    }
    return sent.calls;
  }

  async function writeSome(agents: readonly string[]): Promise<void> {
    const written = await storage.transaction(async (transaction) => {
      const done: [string, Known][] = [];
      for (const agent of agents) {
        const known = await read(transaction, agent, settingsOf(agent).zone);
        const additions = waiting.writing(agent, known.generation);
        for (const addition of additions) addTo(agent, known, addition);
        if (additions.length > 0)
          await write(transaction, agent, known, new Set(additions.map(({ tool }) => tool)), clock.now());
        done.push([agent, known]);
      }
      return done;
    });
    for (const [agent, known] of written) {
      waiting.written(agent);
      if (held.has(agent)) put(agent, known);
    }
  }

  let writing: Promise<void> | undefined;
  async function writeAll(): Promise<void> {
    const agents = waiting.begin();
    for (let from = 0; from < agents.length; from += AGENTS_PER_WRITE) {
      const some = agents.slice(from, from + AGENTS_PER_WRITE);
      try {
        await writeSome(some);
      } catch (error) {
        log.warn('what agents usually do could not be written yet', { agents: some.length, error });
        waiting.again(agents.slice(from));
        return;
      }
    }
  }
  const flush = (): Promise<void> => {
    writing ??= writeAll().finally(() => {
      writing = undefined;
    });
    return writing;
  };

  async function change(
    agent: string,
    operation: string,
    by: string,
    words: string[],
    work: (transaction: Parameters<Parameters<Storage['transaction']>[0]>[0]) => Promise<void>,
  ): Promise<void> {
    const environment = registry.snapshot().agents.get(agent)?.manifest.environment;
    await storage.transaction(async (transaction) => {
      await work(transaction);
      await storage.announce(transaction, 'baseline', agent, clock.now());
      await recordChange(transaction, {
        operation,
        by,
        agent,
        ...(environment !== undefined && { environment }),
        changes: words,
      });
    });
  }

  return {
    ready(agent) {
      const own = held.get(agent);
      if (!own) return load(agent);
      held.delete(agent);
      held.set(agent, own);
      // Not waited for: another replica's calls are known a little later.
      if (clock.now() - own.readAt > limits.readSeconds * 1_000 && !loading.has(agent) && !waiting.isWriting(agent)) {
        own.readAt = clock.now();
        load(agent).catch((error) => log.warn('what an agent usually does could not be read again', { agent, error }));
      }
      return undefined;
    },

    look(agent, { tool, arguments: given }, now) {
      const own = held.get(agent);
      if (!own) throw new Error(`what ${agent} usually does is not loaded`);
      const { whole, tools } = own.known;
      const usual = tools.get(tool.ref)?.usual;
      // Of a tool for which there is no room nobody can say whether it was used before.
      const hasRoom = tools.size < limits.toolsPerAgent || tools.has(tool.ref);
      const firstUse = hasRoom && (usual?.calls ?? 0) === 0;
      if (whole.learnedAt === null) return { firstUse, deviations: [] };
      const when = whenIs(now, whole.zone);
      const calls = sentOf(own, when.hour);
      const deviations = deviationsOf(whole, usual, {
        agent,
        tool: tool.ref,
        ...when,
        ...argumentsOf(tool, given),
        sent: { tool: calls.get(tool.ref) ?? 0, whole: calls.get('') ?? 0 },
      });
      return { firstUse, deviations: hasRoom ? deviations : deviations.filter(({ kind }) => kind !== 'first-use') };
    },

    dispatched(agent, tool) {
      const own = held.get(agent);
      if (!own) return;
      const calls = sentOf(own, whenIs(clock.now(), own.known.whole.zone).hour);
      for (const name of [tool, '']) calls.set(name, (calls.get(name) ?? 0) + 1);
    },

    ended({ agent, tool, arguments: given, deviations, approved, succeeded, result }) {
      const own = held.get(agent);
      if (!own || !succeeded) return undefined;
      const { known } = own;
      const now = clock.now();
      const bytes = result === null ? 0 : bytesOf(result);
      const size = sizeDeviation(known.whole, known.tools.get(tool.ref)?.usual, { agent, tool: tool.ref }, bytes);
      const kinds = [...deviations, ...(size ? [size] : [])].map(({ kind }) => kind);
      const { amount, resources } = argumentsOf(tool, given);
      const addition: Addition = {
        tool: tool.ref,
        unusual: kinds.length > 0 && !approved ? kinds : null,
        cell: {
          ...whenIs(now, known.whole.zone),
          said: approved,
          calls: 1,
          first: now,
          last: now,
          // What a person has approved is the call, and not that so much would come of it.
          bytes: size && approved ? 0 : bytes,
          bytesInAll: bytes,
          amount: amount === null || Number.isNaN(amount) ? null : amount,
          resources: resources.flatMap(({ digest }) => (digest === '' ? [] : [digest])),
        },
      };
      addTo(agent, known, addition);
      if (!waiting.add(agent, known.generation, addition)) flush().catch(() => undefined);
      return size;
    },

    async show(agent) {
      await flush();
      const settings = settingsOf(agent);
      return viewOf(agent, await read(storage.db, agent, settings.zone), settings);
    },

    async reset(agent, by, reason) {
      await change(
        agent,
        'agent.baseline.reset',
        by,
        [`what is usual for ${agent} is learned anew: ${reason}`],
        async (transaction) => {
          await transaction.deleteFrom('baselines').where('agent', '=', agent).execute();
          await storage.bumpFence(transaction, fenceOf(agent));
        },
      );
      held.delete(agent);
    },

    async accept(agent, tool, by, reason) {
      await flush();
      await change(
        agent,
        'agent.baseline.accept',
        by,
        [`what was unusual of ${tool} is usual for ${agent}: ${reason}`],
        async (transaction) => {
          const known = await read(transaction, agent, settingsOf(agent).zone);
          const own = known.tools.get(tool);
          if (!own?.unusual)
            throw new GatehouseError(
              'not-found',
              'baseline.nothing-unusual',
              `Nothing unusual of ${tool} waits to be accepted. \`gatehouse agent baseline ${agent}\` shows what does.`,
            );
          accept(known.whole, own.usual, own.unusual.profile);
          own.unusual = null;
          await write(transaction, agent, known, [tool], clock.now());
        },
      );
      held.delete(agent);
    },

    refresh(changes) {
      for (const { topic, key } of changes) if (topic === 'baseline') held.delete(key);
    },

    write: flush,

    async sweep() {
      const { agents } = registry.snapshot();
      for (let after = ''; ; ) {
        const rows = await storage.db
          .selectFrom('baselines')
          .select('agent')
          .where('agent', '>', after)
          .where('tool', '=', '')
          .orderBy('agent')
          .limit(AGENTS_PER_SWEEP)
          .execute();
        const gone = rows
          .map(({ agent }) => agent)
          .filter((name) => (agents.get(name)?.state ?? 'retired') === 'retired');
        if (gone.length > 0) await storage.db.deleteFrom('baselines').where('agent', 'in', gone).execute();
        const last = rows.at(-1);
        if (!last || rows.length < AGENTS_PER_SWEEP) return;
        after = last.agent;
      }
    },
  };
}

const defaults = baselineSettings.parse({});
/** So that no transaction keeps others waiting for long. */
const AGENTS_PER_WRITE = 20;
const AGENTS_PER_SWEEP = 500;
