import {
  type CedarValueJson,
  type EntityJson,
  preparsePolicySet,
  statefulIsAuthorized,
  type TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import { calendarManifest, policyManifest, templateManifest, toolServerManifest } from '@gatehouse/protocol';
import {
  type CompiledSet,
  compileSet,
  type EntityUid,
  parsePolicy,
  readUid,
} from '../packages/server/src/policy/cedar/index.ts';
import {
  compilePolicies,
  type PolicyRequest,
  provenances,
  type Situation,
  unknownSituation,
} from '../packages/server/src/policy/index.ts';
import { shopWorkspace } from '../packages/server/src/policy/testing/workspace.ts';
import {
  type Agent,
  type RegisteredServer,
  type RegisteredTool,
  unlabelled,
} from '../packages/server/src/registry/index.ts';
import { type Measure, median, table } from './measure.ts';
import { startCerbos } from './targets/cerbos.ts';

/** P1: what one decision costs, from the request with its entities and arguments to the answer, as policies grow in number. */
export const measure: Measure = {
  heading: 'Decisions',
  options: { policies: '10,100,1000,10000', rounds: '5', cerbos: 'true' },
  async run({ policies = '', rounds, cerbos }) {
    const sizes = [];
    for (const count of policies.split(',').map(Number)) {
      const workload = makeWorkload(count);
      const ways = [
        ours(workload),
        official(workload, `bench-${count}`),
        ...(cerbos === 'true' ? [await startCerbos(count, workload.calls)] : []),
      ];
      sizes.push({ count, mix: compare(workload), ways, found: ways.map((): number[] => []) });
      for (const { decide, warm = 50 } of ways) await decide(warm);
    }
    // In turn over the sizes too: whether it is flat can be seen only of what ran under the same conditions.
    for (let round = 0; round < Number(rounds); round++)
      for (const { ways, found } of sizes)
        for (const [at, { cpu, decide, batch }] of ways.entries()) {
          const from = cpu();
          await decide(batch);
          found[at]?.push((cpu() - from) / batch);
        }
    for (const { ways } of sizes) for (const { close } of ways) await close?.();
    const rows = sizes.map(({ count, mix, found }) => {
      const [mine = 0, wasm = 0, peer] = found.map(median);
      return { policies: count, mix, mine, best: Math.min(...(found[0] ?? [])), wasm, peer };
    });
    const perSecond = (microseconds: number | undefined) =>
      microseconds === undefined ? '–' : Math.round(1e6 / microseconds).toLocaleString('en');
    return {
      rows,
      how: `Task, user, agent, tool, arguments and entities from plain objects to a decision with its reasons. The policies are seven tenths permits of templates with a
condition on an argument, one tenth each forbids by environment and amount, permits by blueprint in office hours, and policies on single agents: forbids by risk,
and tiers raised by what the task has seen and where an argument came from. 64 different calls, each of another task and agent, are asked over and over; the answers
of both engines to all of them are compared first. Few of ten policies can forbid, and more of 10,000, so that the mix of answers is not the same in all rows: it is
given. A refusal is put into words. CPU time of the process that decides; all rows and engines in turn in one process, median of ${rounds} rounds, and the best
round: where other work shares the machine, caches and cores are shared with it, and the ratios count. What is kept of earlier calls of the same task is warm. Cerbos
0.55.0 (npm) is asked over HTTP, one request after the other on one connection, and its own process is counted, not its client.`,
      tables: table(
        [
          'policies',
          'about a call, mean (most)',
          'allowed / forbidden / not permitted',
          'Gatehouse: per CPU second',
          'best round',
          'cedar-wasm 4.13: per CPU second',
          'Cerbos: per CPU second',
          'Gatehouse : cedar-wasm',
        ],
        rows.map(({ policies: count, mix, mine, best, wasm, peer }) => [
          count.toLocaleString('en'),
          `${mix.about.toFixed(1)} (${mix.most})`,
          `${mix.allowed} / ${mix.forbidden} / ${mix.unmet}`,
          perSecond(mine),
          perSecond(best),
          perSecond(wasm),
          perSecond(peer),
          `${Math.round(wasm / mine).toLocaleString('en')} ×`,
        ]),
      ),
    };
  },
};

/** One who decides: `decide` answers so many requests, `cpu` is the CPU time that it has used so far, in microseconds. */
export interface Way {
  batch: number;
  /** Requests before the clock starts. */
  warm?: number;
  cpu(): number;
  decide(count: number): Promise<void> | void;
  close?(): Promise<void>;
}

/** A call as all can be asked it. */
export interface Call {
  task: string;
  agent: string;
  template: string;
  blueprint: string;
  environment: string;
  risk: string;
  customer: string;
  tool: string;
  server: string;
  effect: string;
  arguments: { customer: string; amount: number; note: string };
  situation: Situation;
}

interface Workload {
  calls: Call[];
  texts: Record<string, string>;
  requests: PolicyRequest[];
  set: ReturnType<typeof compilePolicies>;
}

const ownCpu = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

function makeWorkload(count: number): Workload {
  const base = shopWorkspace();
  const tools = Math.max(4, Math.ceil(count / 25));
  const templates = Math.max(2, Math.ceil(count / 50));
  const environments = Math.max(2, Math.ceil(count / 20));
  const permitsOf = (template: number) =>
    [...Array(Math.round((count * 0.7) / templates)).keys()].map((at) => (template * 3 + at) % tools);
  const effects = ['read', 'write'] as const;
  const servers = new Map<string, RegisteredServer>();
  const tool = (at: number) => ({ server: `s${at % 10}`, name: `tool${at}`, ref: `s${at % 10}/tool${at}` });
  for (let at = 0; at < tools; at++) {
    const { server: name, name: toolName, ref } = tool(at);
    let server = servers.get(name);
    if (!server) {
      const manifest = toolServerManifest.parse({
        kind: 'ToolServer',
        name,
        environments: ['production'],
        transport: { type: 'stdio', command: 'node' },
        tools: {},
      });
      server = { name, manifest, tools: new Map(), definitions: [] };
      servers.set(name, server);
    }
    const toolEffects = [effects[at % 2] ?? 'read'];
    server.manifest.tools[toolName] = { tier: 2, effects: toolEffects };
    const properties = { customer: { type: 'string' }, amount: { type: 'integer' }, note: { type: 'string' } };
    server.tools.set(toolName, {
      ref,
      server: name,
      name: toolName,
      tier: 2,
      effects: toolEffects,
      resourceArgument: null,
      state: 'approved',
      digest: null,
      labels: unlabelled,
      definition: { name: toolName, inputSchema: { type: 'object', properties, required: ['customer'] } },
    } as RegisteredTool);
  }
  const G = 'Gatehouse::';
  const written: Record<string, string> = {};
  for (let at = 0; at < Math.round(count * 0.1); at++) {
    const { server } = tool(at);
    written[`limit${at}`] =
      `forbid(principal in ${G}Environment::"env${at % environments}", action in ${G}Action::"write", resource in ${G}ToolServer::"${server}") when { context.arguments has amount && context.arguments.amount > ${1000 + at} };`;
    written[`blueprint${at}`] =
      `permit(principal in ${G}Blueprint::"b${at}", action in ${G}Action::"read", resource in ${G}ToolServer::"${server}") when { principal.risk == "low" && context.calendars.contains("office") };`;
    written[`agent${at}`] =
      at % 2 === 0
        ? `forbid(principal in ${G}Agent::"a${at * 7}", action, resource) unless { ["low", "medium"].contains(principal.risk) };`
        : `@tier("3") forbid(principal in ${G}Agent::"a${at * 7}", action, resource) when { context.flow.untrusted && context.provenance.unknown.contains("customer") };`;
  }
  const days = ['mon', 'tue', 'wed', 'thu', 'fri'];
  const office = calendarManifest.parse({
    kind: 'Calendar',
    name: 'office',
    zone: 'UTC',
    open: [{ days, from: '08:00', to: '18:00' }],
  });
  const snapshot = {
    ...base,
    servers,
    calendars: new Map([['office', office]]),
    templates: new Map(
      [...Array(templates).keys()].map((at) => [
        `t${at}`,
        templateManifest.parse({
          kind: 'Template',
          name: `t${at}`,
          parameters: { customer: { type: 'string' } },
          allow: [
            { tools: [...new Set(permitsOf(at))].map((each) => tool(each).ref), when: { customer: '$customer' } },
          ],
        }),
      ]),
    ),
    policies: new Map(
      Object.entries(written).map(([name, cedar]) => [name, policyManifest.parse({ kind: 'Policy', name, cedar })]),
    ),
  };
  const calls: Call[] = [...Array(64).keys()].map((at) => {
    const template = (at * 5) % templates;
    const among = permitsOf(template);
    const target = among[at % among.length] ?? 0;
    const { server, ref } = tool(target);
    return {
      task: `tsk_${at}`,
      agent: `a${at * 7}`,
      template: `t${template}`,
      blueprint: `b${at % Math.max(1, Math.round(count * 0.1))}`,
      environment: `env${at % environments}`,
      risk: at % 3 === 0 ? 'high' : 'low',
      customer: `c${at % 4}`,
      tool: ref,
      server,
      effect: effects[target % 2] ?? 'read',
      arguments: { customer: `c${(at % 5) % 4}`, amount: 900 + at * 10, note: 'as agreed' },
      situation: {
        ...unknownSituation(1_767_225_600_000 + at),
        calendars: at % 4 === 3 ? [] : ['office', 'weekdays'],
        flow: {
          untrusted: at % 3 === 0,
          sensitive: at % 5 === 0 ? ['personal'] : [],
          textless: false,
          reachesNobody: false,
          provenance: { customer: at % 2 === 0 ? 'stated' : 'unknown' },
        },
      },
    };
  });
  const requests = calls.map((call): PolicyRequest => {
    const agent: Agent = {
      ...base.agent,
      name: call.agent,
      manifest: {
        ...base.agent.manifest,
        name: call.agent,
        blueprint: call.blueprint,
        environment: call.environment,
        risk: call.risk as Agent['manifest']['risk'],
      },
    };
    const task = {
      ...base.task,
      id: call.task,
      agent: call.agent,
      template: call.template,
      parameters: { customer: call.customer },
    };
    const registered = servers.get(call.server)?.tools.get(call.tool.split('/')[1] ?? '');
    if (!registered) throw new Error(`no tool ${call.tool}`);
    return { agent, task, tool: registered, arguments: call.arguments, situation: call.situation };
  });
  const texts = { ...written };
  for (const { name } of snapshot.templates.values())
    for (const each of permitsOf(Number(name.slice(1)))) {
      const { ref } = tool(each);
      texts[`${name}:${ref}`] =
        `permit(principal in ${G}Template::"${name}", action == ${G}Action::"${ref}", resource == ${G}Tool::"${ref}") when { context.arguments has customer && principal.parameters has customer && context.arguments.customer == principal.parameters.customer };`;
    }
  return { calls, texts, requests, set: compilePolicies(snapshot, { validated: true }) };
}

function ours({ requests, set }: Workload): Way {
  return {
    batch: 300_000,
    warm: 200_000,
    cpu: ownCpu,
    decide(count) {
      for (let at = 0; at < count; at++) set.decide(requests[at & 63] as PolicyRequest);
    },
  };
}

function official({ calls, texts }: Workload, id: string): Way {
  const prepared = preparsePolicySet(id, { staticPolicies: texts });
  if (prepared.type === 'failure') throw new Error(prepared.errors[0]?.message);
  const asked = calls.map((call) => ({ ...officialRequest(call), preparsedPolicySetId: id }));
  return {
    batch: Math.max(20, Math.round(20_000 / Object.keys(texts).length)),
    cpu: ownCpu,
    decide(count) {
      for (let at = 0; at < count; at++) {
        const answer = statefulIsAuthorized(asked[at & 63] as (typeof asked)[number]);
        if (answer.type === 'failure') throw new Error(answer.errors[0]?.message);
      }
    },
  };
}

const uid = (type: string, id: string): TypeAndId => ({ type: `Gatehouse::${type}`, id });

function officialRequest(call: Call) {
  const principal = uid('Task', call.task);
  const entities: EntityJson[] = [
    {
      uid: principal,
      parents: [
        uid('Agent', call.agent),
        uid('Template', call.template),
        uid('Blueprint', call.blueprint),
        uid('Environment', call.environment),
      ],
      attrs: {
        agent: { __entity: uid('Agent', call.agent) },
        template: { __entity: uid('Template', call.template) },
        environment: { __entity: uid('Environment', call.environment) },
        owner: 'owner@example.test',
        risk: call.risk,
        parameters: { customer: call.customer },
      },
    },
    {
      uid: uid('Tool', call.tool),
      parents: [uid('ToolServer', call.server)],
      attrs: { tier: 2, effects: [call.effect] },
    },
    { uid: uid('Action', call.tool), parents: [uid('Action', call.effect)], attrs: {} },
  ];
  return {
    principal,
    action: uid('Action', call.tool),
    resource: uid('Tool', call.tool),
    context: { arguments: call.arguments, ...situationJson(call.situation) } as Record<string, CedarValueJson>,
    entities,
  };
}

function situationJson({ now, calendars, flow }: Situation): Record<string, unknown> {
  const from = (wanted: string) => Object.keys(flow.provenance).filter((name) => flow.provenance[name] === wanted);
  return {
    now: { __extn: { fn: 'datetime', arg: new Date(now).toISOString() } },
    calendars,
    flow: {
      untrusted: flow.untrusted,
      sensitive: flow.sensitive,
      textless: flow.textless,
      reachesNobody: flow.reachesNobody,
    },
    provenance: Object.fromEntries(provenances.map((each) => [each, from(each)])),
  };
}

interface Mix {
  allowed: number;
  forbidden: number;
  /** Refused because no permit holds. */
  unmet: number;
  /** Policies whose scope is about a call, on average, and at most. */
  about: number;
  most: number;
}

/** Nothing is measured that does not answer the same. What a policy raises to tier 3 is a forbid to the official engine. */
function compare({ calls, texts, requests, set }: Workload): Mix {
  const prepared = preparsePolicySet('bench-compare', { staticPolicies: texts });
  if (prepared.type === 'failure') throw new Error(prepared.errors[0]?.message);
  const mix: Mix = { allowed: 0, forbidden: 0, unmet: 0, about: 0, most: 0 };
  const index = compileSet(
    Object.entries(texts).map(([id, text]) => {
      const parsed = parsePolicy(text);
      if ('problem' in parsed) throw new Error(parsed.problem);
      return { id, json: parsed.json };
    }),
  );
  for (const [at, call] of calls.entries()) {
    const asked = officialRequest(call);
    const answer = statefulIsAuthorized({ ...asked, preparsedPolicySetId: 'bench-compare' });
    const mine = set.decide(requests[at] as PolicyRequest);
    if (answer.type === 'failure') throw new Error(answer.errors[0]?.message);
    const { decision, diagnostics } = answer.response;
    if ((mine.effect === 'allow') !== (decision === 'allow'))
      throw new Error(`the engines differ on ${JSON.stringify(call)}: ${mine.code}, ${decision}`);
    mix[decision === 'allow' ? 'allowed' : diagnostics.reason.length > 0 ? 'forbidden' : 'unmet']++;
    const about = policiesAbout(index, asked);
    mix.about += about / calls.length;
    mix.most = Math.max(mix.most, about);
  }
  if (mix.allowed === 0 || mix.allowed === calls.length) throw new Error(`one-sided requests: ${JSON.stringify(mix)}`);
  return mix;
}

function policiesAbout(index: CompiledSet, asked: ReturnType<typeof officialRequest>): number {
  const [principal, action, resource] = [asked.principal, asked.action, asked.resource].map(readUid) as [
    EntityUid,
    EntityUid,
    EntityUid,
  ];
  const entities = new Map(
    asked.entities.map(({ uid: self, parents }) => [
      readUid(self).key,
      { attrs: new Map(), tags: new Map(), ancestors: new Set(parents.map((each) => readUid(each).key)) },
    ]),
  );
  return index.slice({ principal, action, resource, context: new Map(), entities }).policies.length;
}
