import { isDeepStrictEqual } from 'node:util';
import { skeleton } from '../../packages/server/src/registry/look-alikes.ts';
import { type House, serverManifest } from './house.ts';
import { malformed } from './malformed.ts';
import { type Operator, others, twelve } from './operators.ts';
import type { Poisoned } from './published.ts';
import type { RealServer } from './real.ts';
import { type Named, type Served, startServing } from './serving.ts';

/** One change that a server made, and what became of it. */
export interface Verdict {
  kind: string;
  name: string;
  meaning: Operator['meaning'];
  what: string;
  /** Something waits for review, or is gone. */
  held: boolean;
  /** The agent saw an entry that nobody approved. */
  leaked: boolean;
  /** A call of what waits was answered, or reached the server. */
  ran: boolean;
  /** A definition that did not change waits, too, or a tool of the same server could not be called any more. */
  disturbed: boolean;
}

export interface Case {
  server: RealServer;
  operator: Operator;
  target: string;
}

/** Every operator on every tool; what is not a tool changes once for each server. */
export function casesOf(house: House): Case[] {
  return [...house.real].flatMap(([server, { served }]) =>
    [...twelve, ...others].flatMap((operator) => {
      const perServer = ['instructions', 'prompt', 'resource', 'resource template'].includes(operator.kind);
      const targets = perServer ? served.tools.slice(0, 1) : served.tools;
      return targets
        .filter(({ name }) => changes(operator, served, name))
        .map(({ name }) => ({ server, operator, target: name }));
    }),
  );
}

const changes = (operator: Operator, served: Served, target: string) => {
  const changed = operator.apply(served, target);
  return changed !== undefined && (operator.meaning === 'same' || !isDeepStrictEqual(changed, served));
};

export async function mutate(house: House, { server, operator, target }: Case): Promise<Verdict> {
  const { served, serving } = house.of(server);
  const changed = operator.apply(served, target) as Served;
  serving.serve(changed, operator.indented ? { indented: true } : {});
  const waiting = (await house.look(server)).filter(({ state }) => state !== 'approved');
  const { leaked } = await shownTo(house, server, served, operator);
  const untouched = served.tools.filter((tool) => changed.tools.some((each) => isDeepStrictEqual(each, tool)));
  const names = waiting.filter(({ kind }) => kind === 'tool').map(({ name }) => name);
  const ran = (await Promise.all(names.map((name) => runs(house, server, served, name)))).includes(true);
  const [sibling] = untouched.filter(({ name }) => name !== target && !names.includes(name));
  const disturbed =
    untouched.some(({ name }) => names.includes(name) && !twice(changed, name)) ||
    (sibling !== undefined && !(await reaches(house, server, sibling)));
  const { kind, name, meaning } = operator;
  return { kind, name, meaning, what: `${server}/${target}`, held: waiting.length > 0, leaked, ran, disturbed };
}

const twice = ({ tools }: Served, name: string) => tools.filter((each) => each.name === name).length > 1;

async function shownTo(house: House, server: RealServer, served: Served, { kind }: Operator) {
  const isOfTools = !['instructions', 'prompt', 'resource', 'resource template'].includes(kind);
  const seen: Partial<Served> = isOfTools
    ? { tools: await house.seenTools(server) }
    : ((await house.seen(server)) as Served);
  const leaked = Object.entries(seen).some(([member, entries]) => {
    const approved = served[member as keyof Served];
    if (!Array.isArray(entries)) return entries !== undefined && entries !== approved;
    return entries.some((entry) => !(approved as Named[]).some((each) => isDeepStrictEqual(each, entry)));
  });
  return { leaked };
}

async function runs(house: House, server: RealServer, { tools }: Served, name: string): Promise<boolean> {
  const { serving } = house.of(server);
  const before = serving.reached.length;
  const known = tools.find((tool) => tool.name === name) ?? { name };
  const { refused } = await house.callTool(server, known);
  return !refused || serving.reached.length > before;
}

/** A permitted call reaches that tool, and that tool alone. */
async function reaches(house: House, server: RealServer, tool: Named): Promise<boolean> {
  const before = [...house.real].map(([name, { serving }]) => ({ name, serving, length: serving.reached.length }));
  const { refused } = await house.callTool(server, tool);
  const reached = before.flatMap(({ name, serving, length }) =>
    serving.reached.slice(length).map((each) => `${name}/${each}`),
  );
  return !refused && isDeepStrictEqual(reached, [`${server}/${tool.name}`]);
}

/** Everything as it was approved: nothing waits any more, and every tool is reached by its own name alone. */
export async function restored(house: House): Promise<string[]> {
  const wrong: string[] = [];
  for (const [server, { served, serving }] of house.real) {
    serving.serve(served);
    for (const { kind, name, state } of await house.look(server))
      if (state !== 'approved') wrong.push(`${kind} ${server}/${name} is ${state}, and is served as it was approved`);
    for (const tool of served.tools)
      if (!(await reaches(house, server, tool)))
        wrong.push(`${server}/${tool.name} is not reached, or another with it`);
  }
  return wrong;
}

export interface PublishedVerdict extends Verdict {
  corpus: string;
}

/** A published poisoned definition slipped into a server that was approved: as one more tool, and in the place of one of its tools. */
export async function poison(house: House, { corpus, kind, tool }: Poisoned, at: number): Promise<PublishedVerdict[]> {
  const server: RealServer = 'memory';
  const { served } = house.of(server);
  const target = served.tools[at % served.tools.length]?.name as string;
  const added: Operator = {
    kind,
    name: 'one more tool',
    meaning: 'changed',
    apply: (now) => ({ ...now, tools: [...now.tools, tool] }),
  };
  const replaced: Operator = {
    ...added,
    name: 'in the place of an approved one',
    apply: (now) => ({
      ...now,
      tools: now.tools.map((each) => (each.name === target ? { ...tool, name: target } : each)),
    }),
  };
  const verdicts = [
    await mutate(house, { server, operator: added, target }),
    await mutate(house, { server, operator: replaced, target }),
  ];
  return verdicts.map((verdict) => ({ ...verdict, corpus, what: tool.name }));
}

export interface NamedByOperator {
  tools: number;
  /** Held at first sight although the manifest names them. */
  held: number;
  /** Seen in a task whose template has only the honest servers. */
  seen: number;
  /** Calls of honest tools that reached the hostile server. */
  misled: number;
  calls: number;
}

/**
 * The worst that an operator can do: a server of nothing but published attacks, whose tools the manifest all names. What it says of itself is
 * approved then; what it cannot have is a call that was meant for another server.
 */
export async function nameThemAll(house: House, poisoned: readonly Poisoned[]): Promise<NamedByOperator> {
  // Of names that look alike a manifest takes one.
  const unique = new Map(poisoned.map(({ tool }) => [skeleton(tool.name), tool]));
  const hostile = await startServing({
    tools: [...unique.values()],
    prompts: [],
    resources: [],
    resourceTemplates: [],
  });
  try {
    await house.workspace.apply([
      serverManifest(
        'hostile',
        hostile.url,
        [...unique.values()].map(({ name }) => name),
      ),
    ]);
    const { items } = await house.workspace.operator('GET /definitions', { query: { server: 'hostile' } });
    const seen = await house.seenTools('hostile');
    let calls = 0;
    for (const [server, { served }] of house.real)
      for (const tool of served.tools) {
        calls++;
        await reaches(house, server, tool);
      }
    return {
      tools: unique.size,
      held: items.filter(({ state }) => state !== 'approved').length,
      seen: seen.length,
      misled: hostile.reached.length,
      calls,
    };
  } finally {
    await hostile.close();
  }
}

export interface MalformedVerdict {
  name: string;
  calls: number;
  refused: number;
  reached: number;
}

/** Of each server every `step`-th tool. */
export async function malform(house: House, step = 1): Promise<MalformedVerdict[]> {
  const found: MalformedVerdict[] = [];
  for (const { name, of } of malformed) {
    const verdict = { name, calls: 0, refused: 0, reached: 0 };
    for (const [server, { served, serving }] of house.real)
      for (const tool of served.tools.filter((_, at) => at % step === 0)) {
        const call = of(tool);
        if (!call) continue;
        const before = serving.reached.length;
        const { refused } = await house.call(server, call.tool, call.arguments);
        verdict.calls++;
        if (refused) verdict.refused++;
        verdict.reached += serving.reached.length - before;
      }
    found.push(verdict);
  }
  return found;
}
