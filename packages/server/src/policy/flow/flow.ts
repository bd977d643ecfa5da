import type { ArgumentRole, FlowLabel } from '@gatehouse/protocol';
import { isJsonObject, type Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import type { Provenance } from '../situation.ts';
import { echoOf } from './echo.ts';
import { newEffort } from './effort.ts';
import { coveredBy, endorsedSpend, keepEndorsed, usedUp, usesOf } from './endorsements.ts';
import type { Source } from './fields.ts';
import { type Endorsement, guardOf, holderOfStore, holderOfTask } from './held.ts';
import { agentHolders, helpersOf, holdersOfLink, writtenFor } from './holders.ts';
import { type Change, createLabels, type LabelDependencies } from './labels.ts';
import { flowLimits } from './limits.ts';
import { isShown, READ_BY, SEVERAL, storeMark, WROTE } from './marks.ts';
import { createMemory } from './memory.ts';
import { originOfArgument } from './origin.ts';
import { mostCareful, partsOf } from './parts.ts';
import { clearPassages } from './passages.ts';
import { createReading, linksOf } from './reading.ts';
import { labelsOfParts, labelsOfUnseen, SENSITIVE, UNTRUSTED } from './result-labels.ts';
import { reachesNobody } from './roles.ts';
import { sweepFlow } from './sweep.ts';
import { isTextless } from './textless.ts';
import { isDefault, literalsOf, toldTo } from './told.ts';
import type { Flow, Reader } from './types.ts';
import { type Origins, workOut } from './worked-out.ts';

/**
 * Information flow (law 9). Labels are in the database and held across replicas by fences; the texts in which values are looked for are in
 * the memory of the process that passed them on. INVARIANT: a task of which another process has passed on untrusted texts, or this one has
 * forgotten some, has no trusted values: only what was stated or endorsed counts.
 */
export function createFlow(deps: LabelDependencies): Flow {
  const { storage, clock, sealer } = deps;
  const labels = createLabels(deps);
  const memory = createMemory(clock);
  const { readBy, holdersOf, heldOf, stateOf, readStateOf, othersFor, knownBefore } = createReading(
    labels,
    memory,
    clock,
  );
  /** A few ids; each stays used up for good. */
  const exhausted = new Set<string>();

  function noted(
    reader: Reader,
    { tool, actionId, arguments: given, body, isUnseen = false }: Parameters<Flow['note']>[1],
    stored: readonly string[],
  ): readonly string[] | Promise<readonly string[]> {
    const { returns } = tool.labels;
    const { parts, isWhole } = isUnseen
      ? { parts: [], isWhole: mostCareful(returns).isTrusted }
      : partsOf(returns, body);
    const source: Source = { tool: tool.ref, actionId };
    const own = isUnseen ? labelsOfUnseen(returns) : labelsOfParts(parts, isWhole);
    const found = [...new Set([...own, ...(isUnseen || parts.length > 0 ? stored : [])])].sort();
    const read = stored.includes(UNTRUSTED) ? parts.map((part) => ({ ...part, isTrusted: false })) : parts;
    const made = writes(tool) ? { given: scalarsOf(given) } : null;
    const echo = read.some(({ isTrusted }) => isTrusted) ? echoOf(given, tool, knownBefore(reader)) : {};
    for (const { agent, task } of linksOf(reader)) {
      const state = readStateOf(labels.known(holderOfTask(task.id)));
      memory.note(task.id, agentHolders(agent, task.user), read, { ...source, made, ...echo }, { ...state, isWhole });
    }
    if (found.length === 0) return found;
    const durable = keep(reader, found.includes(UNTRUSTED) ? [...found, readBy] : found, source);
    return durable ? durable.then(() => found) : found;
  }

  /** For the task, who handed it on, and the agents of both; and for the agents to whom these have handed something on that is not over. */
  function keep(reader: Reader, marks: readonly string[], { tool, actionId }: Source): Promise<void> | undefined {
    const links = linksOf(reader);
    return labels.add(
      links.flatMap(({ agent, task }) => writtenFor(agent, task).map((holder) => ({ holder, labels: marks }))),
      { tool, actionId, task: reader.task.id },
      async (transaction) => {
        const helpers = await helpersOf(transaction, links, clock.now());
        const knowers = helpers.flatMap(({ agent, user }) => agentHolders(agent, user));
        memory.tell(
          knowers,
          links.map(({ task }) => ({ id: task.id, read: { here: false, elsewhere: false } })),
        );
        return [...new Set(knowers)].map((holder) => ({ holder, labels: marks }));
      },
    );
  }

  function ready(reader: Reader): Promise<void> | undefined {
    const wanted = linksOf(reader).flatMap(({ agent, task }) => [
      ...holdersOfLink({ agent, task }),
      ...writtenFor(agent, task),
    ]);
    const missing = [...new Set(wanted)].filter((holder) => !labels.known(holder));
    // While some are loaded, another call may have added to those that were here, which are then to be loaded again.
    return missing.length === 0 ? undefined : labels.load(missing).then(() => ready(reader));
  }

  return {
    ready,

    view(reader, { tool, arguments: given, template }) {
      const held = heldOf(reader);
      const all = [...new Set(held.flatMap((each) => [...each.labels.keys()]))].sort();
      const shown = all.filter(isShown);
      const endorsements = (
        held.find(({ holder }) => holder === holderOfTask(reader.task.id))?.endorsements ?? []
      ).filter(({ id, covers }) => covers === coveredBy(tool) && !exhausted.has(id));
      const used = new Map<string, Endorsement>();
      const isEndorsed = (role: ArgumentRole, value: string) => {
        const found = endorsements.find((each) => each.role === role && each.value === value);
        if (found) used.set(found.id, found);
        return found !== undefined;
      };
      let origins: Origins | undefined;
      let textless: boolean | undefined;
      let provenance: Record<string, Provenance> | undefined;
      // As it stands in what the dispatch is held to, whatever is forgotten before it is looked at.
      const heldOfTask = (id: string) => held.find(({ holder }) => holder === holderOfTask(id));
      const seenOf = () => linksOf(reader).map(({ task }) => memory.of(task.id, readStateOf(heldOfTask(task.id))));
      const othersOf = () => othersFor(reader, held);
      return {
        untrusted: all.includes(UNTRUSTED),
        sensitive: shown.filter((label) => label.startsWith(SENSITIVE)).map((label) => label.slice(SENSITIVE.length)),
        labels: shown,
        guards: held.map(guardOf),
        get origins() {
          if (origins) return origins;
          const found: Origins = {};
          const [seen, others] = [seenOf(), othersOf()];
          const effort = newEffort();
          const isHere = others.isComplete && seen.every(({ isComplete }) => isComplete);
          const hasForgotten = all.includes(UNTRUSTED) && !isHere;
          const args = isJsonObject(given) ? given : {};
          for (const [argument, role] of Object.entries(tool.labels.roles)) {
            const value = Object.hasOwn(args, argument) ? args[argument] : undefined;
            if (value === undefined || isDefault(tool, argument, value)) continue;
            const told = toldTo(reader, template && literalsOf(template, tool, argument));
            const origin = originOfArgument(
              argument,
              value,
              role,
              { told, seen, others, endorsed: isEndorsed, hasForgotten },
              effort,
            );
            if (origin) found[argument] = { ...origin, role };
          }
          // Neither is known where what was read is not: who is named there, and what else could be meant.
          if (!hasForgotten) {
            clearPassages(found, given, [...seen, ...others.seen], effort);
            workOut(found, given, toldTo(reader), seen);
          }
          origins = found;
          return found;
        },
        get textless() {
          textless ??=
            !all.includes(WROTE) &&
            isTextless(tool, given, this.origins as Origins, { told: toldTo(reader), seen: seenOf() });
          return textless;
        },
        reachesNobody: reachesNobody(tool, given),
        get used() {
          return endorsements.length > 0 && this.origins ? [...used.values()] : [];
        },
        get provenance() {
          provenance ??= Object.fromEntries(
            Object.entries(this.origins).map(([argument, origin]) => [argument, origin.provenance]),
          );
          return provenance;
        },
      };
    },

    async handedOn(transaction, task, chain) {
      const holders = chain.flatMap((each) => holdersOfLink({ agent: each.agent, task: each }));
      const rows = await labels.read(transaction, [...new Set(holders)]);
      const readersOf = (holder: string) => rows.filter((row) => row.holder === holder).map(({ label }) => label);
      const knowers = agentHolders(task.agent, task.user);
      memory.tell(
        knowers,
        chain.map(({ id }) => ({ id, read: stateOf(readersOf(holderOfTask(id))) })),
      );
      const [first] = rows;
      if (!first) return;
      const isHere = ({ holder, label }: (typeof rows)[number]) =>
        label === readBy && chain.some(({ id }) => holder === holderOfTask(id));
      // What was not read by these tasks through this process is known nowhere as a whole.
      const marks = rows.map((row) => (row.label.startsWith(READ_BY) && !isHere(row) ? SEVERAL : row.label));
      const added = knowers.map((holder) => ({ holder, labels: [...new Set(marks)] }));
      await labels.write(transaction, added, first);
    },

    endorse: (transaction, of) => keepEndorsed({ storage, clock, sealer }, transaction, of),

    spend: ({ task }, { used }) => endorsedSpend(used, task, clock.now()),

    exhaust(over, { used }) {
      const found = usedUp(over, used);
      if (found) exhausted.add(found.id);
      return found !== undefined;
    },

    async show(reader) {
      await labels.load(holdersOf(reader));
      for (let loading = ready(reader); loading; loading = ready(reader)) await loading;
      const held = heldOf(reader);
      const endorsements = held.find(({ holder }) => holder === holderOfTask(reader.task.id))?.endorsements ?? [];
      const uses = await usesOf(storage, endorsements);
      const shown = held.flatMap(({ holder, labels }) =>
        [...labels.values()]
          .filter(({ label }) => isShown(label))
          .map((label): FlowLabel => ({ ...label, through: holder })),
      );
      const names = [...new Set(shown.map(({ label }) => label))].sort();
      return {
        task: reader.task.id,
        vouchedBy: reader.task.vouchedBy,
        untrusted: names.includes(UNTRUSTED),
        sensitive: names.filter((name) => name.startsWith(SENSITIVE)).map((name) => name.slice(SENSITIVE.length)),
        labels: shown.sort((a, b) => a.at - b.at),
        endorsed: endorsements.map(({ id, role, shown: value, covers, approval, person, at }) => ({
          id,
          role,
          value,
          for: covers,
          approval,
          person,
          at,
          uses: uses.get(id) ?? 0,
          maxUses: flowLimits.callsPerEndorsement,
        })),
      };
    },

    sweep: () => sweepFlow({ storage, clock }),

    moved(fence) {
      if (!fence.startsWith('flow:')) return false;
      labels.forget(fence.slice('flow:'.length));
      return true;
    },

    storing(reader, { tool, actionId, seen }) {
      if (!writes(tool) || seen.labels.length === 0) return undefined;
      const store = storeOf(reader, tool);
      const changes: Change[] = store === null ? [] : [{ holder: store, labels: seen.labels }];
      if (seen.sensitive.length > 0 && !seen.textless)
        for (const { agent, task } of linksOf(reader))
          changes.push(...writtenFor(agent, task).map((holder) => ({ holder, labels: [WROTE] })));
      if (changes.length === 0) return undefined;
      const add = () => labels.add(changes, { tool: tool.ref, actionId, task: reader.task.id });
      return store === null || labels.known(store) ? add() : labels.load([store]).then(add);
    },

    marksOf: ({ tool, seen }) =>
      tool.labels.store !== null && writes(tool) && seen.labels.length > 0 ? [storeMark(tool.labels.store)] : [],

    note(reader, result) {
      const store = storeOf(reader, result.tool);
      if (store === null) return noted(reader, result, []);
      // Asked about now: who wrote to it while it was read has changed what is read.
      return labels.load([store]).then(() => {
        const held = labels.known(store);
        // Written to just now, so that what was loaded is not true any more.
        if (!held) return this.note(reader, result);
        return noted(reader, result, [...held.labels.keys()]);
      });
    },
  };
}

/** What tools of one store write and read, in one environment. */
const storeOf = ({ task }: Reader, { server, labels }: RegisteredTool) =>
  labels.store === null ? null : holderOfStore(task.environment, server, labels.store);

const writes = ({ effects }: RegisteredTool) => effects.some((effect) => effect !== 'read');

/** What a call has said: a result that says it again has made nothing of that name. */
function scalarsOf(value: Json, into = new Set<string>()): Set<string> {
  if (typeof value === 'string' || typeof value === 'number') into.add(String(value));
  else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) scalarsOf(each, into);
  return into;
}
