import type { SchemaJson, Type, TypeOfAttribute } from '@cedar-policy/cedar-wasm/nodejs';
import type { ArgumentRole, CredentialProviderManifest, Effect, TemplateManifest, Tier } from '@gatehouse/protocol';
import { effect as effectSchema } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type JsonObject } from '../platform/index.ts';
import type { RegisteredServer, RegisteredTool, Snapshot } from '../registry/index.ts';
import { flowArgumentNames, flowGroups, flowGroupsOf } from './flow/index.ts';
import { provenances } from './situation.ts';

export const NAMESPACE = 'Gatehouse';

/** What is not a tool but is an action all the same (law 8). Named `server#feature` beside the tools' `server/tool`. */
export const features = [
  'resources',
  'prompts',
  'sampling',
  'elicitation',
  'url-elicitation',
  'roots',
  'tasks',
] as const;
export type Feature = (typeof features)[number];

/** One thing that policy can permit: a tool, or a feature of a server. */
export interface Subject {
  ref: string;
  server: string;
  tier: Tier;
  effects: Effect[];
  domain: string | null;
  arguments: ArgumentsType;
  /** What arguments stand for. */
  roles: Readonly<Record<string, ArgumentRole>>;
  /** Arguments that an operator gave a role, and that the tool does not have. */
  strangeRoles: string[];
  /** False while nobody knows its arguments: the server has not been reached yet. */
  described: boolean;
}

export type ArgumentType =
  | { kind: 'String' | 'Long' | 'Boolean' }
  | { kind: 'Set'; element: ArgumentType }
  | { kind: 'Record'; attributes: ArgumentsType };

/** The arguments that policies can see. What JSON Schema leaves untyped (or types as a fraction) is not among them. */
export type ArgumentsType = Record<string, { type: ArgumentType; required: boolean }>;

const MAX_TYPE_DEPTH = 8;

/** Only tools that the manifest names: what a server adds by itself must neither stop policies from loading nor make a new version of them. */
export function subjectsOf(server: RegisteredServer): Subject[] {
  const tools = [...server.tools.values()]
    .filter((tool) => Object.hasOwn(server.manifest.tools, tool.name))
    .map((tool) => ({
      ref: tool.ref,
      server: server.name,
      tier: tool.tier,
      effects: tool.effects,
      domain: tool.labels.domain,
      arguments: argumentsOf(tool.definition?.inputSchema),
      roles: tool.labels.roles,
      strangeRoles: strangeRoles(tool),
      described: tool.definition !== null,
    }));
  return [...tools, ...features.map((feature) => featureSubject(server, feature))];
}

/** What a task may be handed of a provider, beside tools; no pattern of tools and no tool server covers it. */
export const directRef = (provider: string) => `${provider}#credential`;

function directSubject({ name, direct }: CredentialProviderManifest): Subject[] {
  if (!direct) return [];
  return [
    {
      ref: directRef(name),
      // No name of a server: what policies say of a server is not said of this.
      server: directRef(name),
      tier: direct.tier,
      effects: [...directEffects],
      domain: null,
      arguments: { seconds: { type: { kind: 'Long' }, required: true } },
      roles: {},
      strangeRoles: [],
      described: true,
    },
  ];
}

/** It leaves the gate. */
export const directEffects: readonly Effect[] = ['export'];

/** Everything that the policies of a workspace can permit, by reference. */
export function subjectsIn({
  servers,
  credentialProviders,
}: Pick<Snapshot, 'servers'> & Partial<Pick<Snapshot, 'credentialProviders'>>): Map<string, Subject> {
  const all = [
    ...[...servers.values()].flatMap(subjectsOf),
    ...[...(credentialProviders?.values() ?? [])].flatMap(directSubject),
  ];
  return new Map(all.map((subject) => [subject.ref, subject]));
}

function strangeRoles({ definition, labels }: RegisteredTool): string[] {
  const schema = definition?.inputSchema;
  if (!isJsonObject(schema)) return [];
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  return Object.keys(labels.roles).filter((argument) => !Object.hasOwn(properties, argument));
}

export function featureSubject(server: Pick<RegisteredServer, 'name' | 'manifest'>, feature: Feature): Subject {
  const { manifest, name } = server;
  const granted: Record<Feature, Tier> = {
    resources: manifest.resources?.tier ?? 4,
    prompts: manifest.prompts?.tier ?? 4,
    sampling: manifest.clientRequests.sampling ? 1 : 4,
    elicitation: manifest.clientRequests.elicitation ? 1 : 4,
    'url-elicitation': manifest.clientRequests.urlElicitation ? 1 : 4,
    roots: manifest.clientRequests.roots ? 1 : 4,
    tasks: 1,
  };
  const argumentName = { resources: 'uri', prompts: 'name' }[feature as 'resources' | 'prompts'];
  const typed: ArgumentsType = argumentName ? { [argumentName]: { type: { kind: 'String' }, required: true } } : {};
  return {
    ref: `${name}#${feature}`,
    server: name,
    tier: granted[feature],
    effects: ['read'],
    domain: null,
    arguments: typed,
    roles: {},
    strangeRoles: [],
    described: true,
  };
}

/** Types of a tool's arguments, from its JSON Schema (any draft: only `type`, `properties`, `items` and `required` are read). */
export function argumentsOf(inputSchema: unknown): ArgumentsType {
  const type = isJsonObject(inputSchema) ? typeOf(inputSchema, 0) : undefined;
  return type?.kind === 'Record' ? type.attributes : {};
}

function typeOf(schema: JsonObject, depth: number): ArgumentType | undefined {
  if (depth > MAX_TYPE_DEPTH) return undefined;
  switch (schema.type) {
    case 'string':
      return { kind: 'String' };
    case 'integer':
      return { kind: 'Long' };
    case 'boolean':
      return { kind: 'Boolean' };
    case 'array': {
      const element = isJsonObject(schema.items) ? typeOf(schema.items, depth + 1) : undefined;
      return element && { kind: 'Set', element };
    }
    case 'object': {
      if (!isJsonObject(schema.properties)) return undefined;
      const required = Array.isArray(schema.required) ? schema.required : [];
      const attributes: ArgumentsType = {};
      for (const [key, property] of Object.entries(schema.properties)) {
        // In Cedar's JSON form `__entity` and `__extn` are no member names; a policy sees nothing that is called so.
        const type = isJsonObject(property) && !key.startsWith('__') ? typeOf(property, depth + 1) : undefined;
        if (type) attributes[key] = { type, required: required.includes(key) };
      }
      return { kind: 'Record', attributes };
    }
    default:
      return undefined;
  }
}

const required = (type: Type<string>): TypeOfAttribute<string> => ({ ...type, required: true });
const strings: Type<string> = { type: 'Set', element: { type: 'String' } };
const external: TypeOfAttribute<string> = {
  ...record({ id: required({ type: 'String' }), state: required({ type: 'String' }) }),
  required: false,
};

/** What every action's context has beside the arguments: see `Situation`. */
const situationAttributes: Record<string, TypeOfAttribute<string>> = {
  now: required({ type: 'Extension', name: 'datetime' }),
  calendars: required(strings),
  address: { type: 'Extension', name: 'ipaddr', required: false },
  ticket: external,
  changeRequest: external,
  firstUse: required({ type: 'Boolean' }),
  anomalous: required({ type: 'Boolean' }),
  deviations: required(strings),
  flow: required(
    record({
      untrusted: required({ type: 'Boolean' }),
      sensitive: required(strings),
      textless: required({ type: 'Boolean' }),
      reachesNobody: required({ type: 'Boolean' }),
    }),
  ),
  provenance: required(record(Object.fromEntries(provenances.map((each) => [each, required(strings)])))),
};

/** Who can be asked about: a task, and the person for whom a task acts. */
export type PrincipalType = 'Task' | 'User';

/**
 * The Cedar schema of a workspace. Actions are the tools and features, in groups by effect; their context holds the typed
 * arguments. A task carries the parameters of every template as optional attributes. A policy is about tasks or about users, never
 * both, and is checked against the schema of its own kind: so a policy on tasks may use what only tasks have.
 */
export function buildSchema(
  subjects: Subject[],
  templates: Iterable<TemplateManifest>,
  principal: PrincipalType = 'Task',
): SchemaJson<string> {
  const actions: SchemaJson<string>[string]['actions'] = {};
  for (const group of [...effectSchema.options, ...flowGroups]) actions[group] = {};
  for (const subject of subjects) {
    actions[subject.ref] = {
      memberOf: groupsOfAction(subject).map((id) => ({ id })),
      appliesTo: {
        principalTypes: [principal],
        resourceTypes: ['Tool'],
        context: record({
          arguments: { ...record(recordAttributes(subject.arguments)), required: true },
          ...situationAttributes,
        }),
      },
    };
  }
  const string: Type<string> = { type: 'String' };
  return {
    [NAMESPACE]: {
      entityTypes: {
        Environment: {},
        Blueprint: {},
        Template: {},
        ToolServer: {},
        Group: {},
        User: {
          memberOfTypes: ['Group'],
          shape: record({ email: required(string), roles: required({ type: 'Set', element: string }) }),
        },
        Agent: { memberOfTypes: ['Blueprint', 'Environment'] },
        Task: {
          memberOfTypes: ['Agent', 'Template', 'Blueprint', 'Environment'],
          shape: record({
            agent: required({ type: 'EntityOrCommon', name: 'Agent' }),
            template: required({ type: 'EntityOrCommon', name: 'Template' }),
            environment: required({ type: 'EntityOrCommon', name: 'Environment' }),
            owner: required(string),
            risk: required(string),
            parameters: required(record(parameterAttributes(templates))),
          }),
        },
        Tool: {
          memberOfTypes: ['ToolServer'],
          shape: record({
            tier: required({ type: 'Long' }),
            effects: required({ type: 'Set', element: string }),
            domain: required(string),
            ...Object.fromEntries(flowArgumentNames.map((name) => [name, required(strings)])),
          }),
        },
      },
      actions,
    },
  };
}

/** The groups that an action is in: its effects, and those that the flow rules are about. */
export const groupsOfAction = ({ effects, roles }: Pick<Subject, 'effects' | 'roles'>): string[] => [
  ...effects,
  ...flowGroupsOf(effects, roles),
];

function record(attributes: Record<string, TypeOfAttribute<string>>): {
  type: 'Record';
  attributes: Record<string, TypeOfAttribute<string>>;
} {
  return { type: 'Record', attributes };
}

function recordAttributes(type: ArgumentsType): Record<string, TypeOfAttribute<string>> {
  return Object.fromEntries(
    Object.entries(type).map(([key, { type, required }]) => [key, { ...cedarType(type), required }] as const),
  );
}

function cedarType(type: ArgumentType): Type<string> {
  if (type.kind === 'Set') return { type: 'Set', element: cedarType(type.element) };
  if (type.kind === 'Record') return record(recordAttributes(type.attributes));
  return { type: type.kind };
}

const parameterTypes = { string: 'String', integer: 'Long', boolean: 'Boolean' } as const;

function parameterAttributes(templates: Iterable<TemplateManifest>): Record<string, TypeOfAttribute<string>> {
  const attributes: Record<string, TypeOfAttribute<string>> = {};
  const declaredBy: Record<string, string> = {};
  for (const template of templates) {
    for (const [name, parameter] of Object.entries(template.parameters)) {
      const type = parameterTypes[parameter.type];
      const before = attributes[name];
      if (before && 'type' in before && before.type !== type) {
        throw new GatehouseError(
          'bad-request',
          'policy.parameter-types',
          `Templates ${declaredBy[name]} and ${template.name} give the parameter "${name}" two types (${before.type} and ${type}). Rename one of them.`,
        );
      }
      attributes[name] = { type, required: false };
      declaredBy[name] = template.name;
    }
  }
  return attributes;
}
