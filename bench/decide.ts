import {
  type CedarValueJson,
  type EntityJson,
  preparsePolicySet,
  statefulIsAuthorized,
  type TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import { calendarManifest, policyManifest, templateManifest, toolServerManifest } from '@gatehouse/protocol';
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
    const rows = [];
    for (const count of policies.split(',').map(Number)) {
      const workload = makeWorkload(count);
      const ways = [
        ours(workload),
        official(workload),
        ...(cerbos === 'true' ? [await startCerbos(count, workload.calls)] : []),
      ];
      compare(workload);
      for (const { decide } of ways) await decide(50);
      const found = ways.map((): number[] => []);
      for (let round = 0; round < Number(rounds); round++)
        for (const [at, { cpu, decide, batch }] of ways.entries()) {
          const from = cpu();
          await decide(batch);
          found[at]?.push((cpu() - from) / batch);
        }
      for (const { close } of ways) await close?.();
      const [mine = 0, wasm = 0, peer] = found.map(median);
      rows.push({ policies: count, mine, wasm, peer });
    }
    const perSecond = (microseconds: number | undefined) =>
      microseconds === undefined ? '–' : Math.round(1e6 / microseconds).toLocaleString('en');
    return {
      rows,
      how: `Task, user, agent, tool, arguments and entities from plain objects to a decision with its reasons. The policies are seven tenths permits of templates with a
condition on an argument, one tenth each forbids by environment and amount, permits by blueprint in office hours, and policies on single agents: forbids by risk,
and tiers raised by what the task has seen and where an argument came from. The answers of both engines to all requests are compared first; half of them or more are
refusals, which are put into words. One to four policies are about any one call. CPU time of the process that decides, median of ${rounds} rounds in turn: where
other work shares the machine, caches and cores are shared with it, and only the ratios count. Cerbos 0.55.0 (npm) is asked over HTTP, one request after the
other on one connection, and its own process is counted, not its client.`,
      tables: table(
        [
          'policies',
          'Gatehouse: per CPU second',
          'cedar-wasm 4.13: per CPU second',
          'Cerbos: per CPU second',
          'Gatehouse : cedar-wasm',
        ],
        rows.map(({ policies: count, mine, wasm, peer }) => [
          count.toLocaleString('en'),
          perSecond(mine),
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
    cpu: ownCpu,
    decide(count) {
      for (let at = 0; at < count; at++) set.decide(requests[at & 63] as PolicyRequest);
    },
  };
}

function official({ calls, texts }: Workload): Way {
  const prepared = preparsePolicySet('bench', { staticPolicies: texts });
  if (prepared.type === 'failure') throw new Error(prepared.errors[0]?.message);
  const asked = calls.map(officialRequest);
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
    preparsedPolicySetId: 'bench',
    entities,
  };
}

function situationJson({ now, calendars, flow }: Situation): Record<string, unknown> {
  const from = (wanted: string) => Object.keys(flow.provenance).filter((name) => flow.provenance[name] === wanted);
  return {
    now: { __extn: { fn: 'datetime', arg: new Date(now).toISOString() } },
    calendars,
    flow: { untrusted: flow.untrusted, sensitive: flow.sensitive },
    provenance: Object.fromEntries(provenances.map((each) => [each, from(each)])),
  };
}

/** Nothing is measured that does not answer the same. What a policy raises to tier 3 is a forbid to the official engine. */
function compare({ calls, texts, requests, set }: Workload): void {
  const prepared = preparsePolicySet('bench-compare', { staticPolicies: texts });
  if (prepared.type === 'failure') throw new Error(prepared.errors[0]?.message);
  const seen = { allow: 0, deny: 0 };
  for (const [at, call] of calls.entries()) {
    const answer = statefulIsAuthorized({ ...officialRequest(call), preparsedPolicySetId: 'bench-compare' });
    const mine = set.decide(requests[at] as PolicyRequest);
    if (answer.type === 'failure') throw new Error(answer.errors[0]?.message);
    seen[answer.response.decision]++;
    if ((mine.effect === 'allow') !== (answer.response.decision === 'allow'))
      throw new Error(`the engines differ on ${JSON.stringify(call)}: ${mine.code}, ${answer.response.decision}`);
  }
  if (seen.allow === 0 || seen.deny === 0) throw new Error(`one-sided requests: ${JSON.stringify(seen)}`);
}
