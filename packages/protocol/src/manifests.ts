import { z } from 'zod';
import { budgetManifest } from './budgets.ts';
import { trustRuleManifest, workloadManifest } from './federation.ts';
import {
  argumentRole,
  effect,
  email,
  flowRule,
  label,
  lifecycle,
  name,
  tier,
  toolName,
  toolPattern,
  trust,
  trustDomainName,
} from './names.ts';
import { upstreamAuthorization } from './upstream-authorization.ts';

/**
 * The declarative form of a workspace: one YAML or JSON document per object, `kind` first. `gatehouse plan|apply|export` read and
 * write these; unknown members are refused so that a typing mistake never widens access silently.
 */
const description = z.string().max(2_000).optional();

const rate = z.union([
  z.literal('off'),
  z.strictObject({ count: z.int().min(1).max(100_000), seconds: z.int().min(1).max(86_400) }),
]);

/** A circuit breaker: more than `count` within `seconds` suspends. `off` switches one off. */
export const breaker = z.strictObject({
  /** Refused actions of one task. */
  refusals: rate.default({ count: 50, seconds: 60 }),
  /** Refused attempts of one task at what deletes, pays, exports, deploys, administers, or is prohibited. */
  grave: rate.default({ count: 10, seconds: 300 }),
  /** Actions of one task. */
  burst: rate.default({ count: 3_000, seconds: 10 }),
  /** Tasks of one agent that were suspended: then the agent is. */
  tasks: rate.default({ count: 3, seconds: 3_600 }),
});
export type Breaker = z.infer<typeof breaker>;

export const environmentManifest = z.strictObject({
  kind: z.literal('Environment'),
  name,
  description,
  /** Production environments refuse what cannot be isolated (law 11). */
  production: z.boolean().default(false),
  /**
   * `second-person`: a change that could let through what the policies stop waits until somebody else than its author ships it, with a
   * passkey. Without it: so in production environments.
   */
  policyChanges: z.enum(['direct', 'second-person']).optional(),
  /**
   * Built-in rules of information flow that are off here. What they would hold for a person then runs at the tool's own tier; labels and
   * origins are kept and recorded all the same.
   */
  flowRulesOff: z.array(flowRule).max(20).optional(),
  /** When tasks, and then agents, are suspended by themselves. */
  breaker: breaker.optional(),
  /** Kinds of sensitive data that are masked in every result in this environment: personal, financial … */
  mask: z.array(label).min(1).max(20).optional(),
});

export const role = z.enum(['admin', 'security', 'approver', 'auditor', 'developer', 'owner']);
export type Role = z.infer<typeof role>;

export const personManifest = z.strictObject({
  kind: z.literal('Person'),
  email,
  displayName: z.string().min(1).max(100),
  roles: z.array(role).min(1),
  /** Takes this person's agents over when they leave. Without one the agents are suspended. */
  successor: email.optional(),
});

/** Which roles the members of a provisioned group have. A directory says who is in a group; only a manifest says what that is worth. */
export const roleMappingManifest = z.strictObject({
  kind: z.literal('RoleMapping'),
  name,
  description,
  /** The group's display name, as the directory gives it. */
  group: z.string().min(1).max(200),
  roles: z.array(role).min(1),
});

/** What agents of a type that a directory names (SCIM) are here. Without a mapping it makes none of that type. */
export const agentMappingManifest = z.strictObject({
  kind: z.literal('AgentMapping'),
  name,
  description,
  /** `agentType`, exactly as the directory gives it. */
  agentType: z.string().min(1).max(100),
  environment: name,
  blueprint: name,
  risk: z.enum(['low', 'medium', 'high']).default('medium'),
});

/** The company's OpenID provider: people sign in with it. */
export const identityProviderManifest = z.strictObject({
  kind: z.literal('IdentityProvider'),
  name,
  /** On the button of the sign-in page. */
  displayName: z.string().min(1).max(60),
  issuer: z.url().max(500),
  clientId: z.string().min(1).max(500),
  /** `private_key_jwt`: with a key of Gatehouse's own, published at `/oidc/jwks`. The others need `secret`. */
  clientAuthentication: z
    .enum(['private_key_jwt', 'client_secret_basic', 'client_secret_post'])
    .default('private_key_jwt'),
  /** Name of the stored secret (`gatehouse secrets set`), which is sent to the provider's token endpoint and nowhere else. */
  secret: name.optional(),
  scopes: z.array(z.string().max(100)).min(1).max(20).default(['openid', 'email', 'profile']),
  /** The claim that holds the address by which a person is known here. */
  emailClaim: z.string().min(1).max(100).default('email'),
  /** True: its addresses count without `email_verified`. Only where the provider's own administrators set every address. */
  emailTrusted: z.boolean().default(false),
  /** Domains of addresses that it may speak for; empty: any. */
  domains: z.array(z.string().max(253)).max(100).default([]),
  /** The claim that lists a person's groups, for `roles`. */
  groupsClaim: z.string().min(1).max(100).optional(),
  /** Roles by group, for people who are made at sign-in (`provision`). Those who are declared keep the roles of their manifest. */
  roles: z.record(z.string().max(200), z.array(role).min(1)).default({}),
  /** Makes a person at their first sign-in if a group of theirs has roles here. */
  provision: z.boolean().default(false),
  /**
   * Hours after which who is known only from this provider (`provision`) signs in there again: until then their passkey is enough, and no
   * session of theirs lasts longer.
   */
  signInAgainHours: z.int().min(1).max(720).default(24),
  /** False: its people need an admin's link for their first passkey. */
  enrolsPasskeys: z.boolean().default(true),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
  /**
   * Its ID tokens stand for their person where an agent presents them (token exchange, RFC 8693), under a standing delegation of that
   * person to that agent. Without this they count for nothing.
   */
  tokenExchange: z
    .strictObject({
      /** Client ids of applications whose sign-ins count, beside `clientId`. */
      audiences: z.array(z.string().min(1).max(500)).max(50).default([]),
    })
    .optional(),
  /** Its ID-JAGs are taken (draft-ietf-oauth-identity-assertion-authz-grant): it decides which agent may act here for whom. */
  idJag: z
    .strictObject({
      /** Agents that may present them. */
      agents: z.array(name).min(1).max(1_000),
      /** Template of the tasks of people who have delegated nothing; without it only standing delegations count. */
      template: name.optional(),
      /** Tools that a scope of an ID-JAG stands for; a scope that is a tool pattern stands for itself, any other one for nothing. */
      scopes: z.record(z.string().min(1).max(200), z.array(toolPattern).min(1).max(50)).default({}),
    })
    .optional(),
});

/**
 * Another authorization server at which agents may act for people: they get an ID-JAG for it
 * (draft-ietf-oauth-identity-assertion-authz-grant). What they do there no gate sees.
 */
export const resourceServerManifest = z.strictObject({
  kind: z.literal('ResourceServer'),
  name,
  description,
  /** Exactly as it calls itself. */
  issuer: z.url().max(500),
  /** Resources there that may be asked for. */
  resources: z.array(z.url().max(2_000)).max(50).default([]),
  /** Scopes there that may be asked for. */
  scopes: z
    .array(
      z
        .string()
        .max(200)
        .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/),
    )
    .max(64)
    .default([]),
  /** Agents that may, each with the client id by which it is known there. */
  clients: z.record(name, z.string().min(1).max(500)),
  /** Only in tasks of these templates; of a task that was handed on, every task of its chain. */
  templates: z.array(name).min(1).max(100),
  /** Only for people in one of these groups. */
  groups: z.array(name).min(1).max(100),
});

/** Cedar text about the control API itself: who of the people may do what. */
export const controlPolicyManifest = z.strictObject({
  kind: z.literal('ControlPolicy'),
  name,
  cedar: z.string().max(200_000),
});

const obligations = {
  /** Kinds of sensitive data that are named instead of shown in results: personal, financial, credentials, and those that tools are labelled with. */
  mask: z.array(label).min(1).max(20).optional(),
  /** Kinds that are shown although they are always masked (credentials), of tools whose `returns.sensitive` says that they have them. */
  reveal: z.array(label).min(1).max(20).optional(),
  /** The most items that a result may have. Tools with a `limitArgument` are asked for no more; what has more waits for a person. */
  limit: z.int().min(1).max(999_999_999).optional(),
};

/**
 * What may be used: tools by name (`tools`), or every registered tool of a kind: all its effects are among `effects`, and its domain among
 * `domains` if those are given. A condition (`when`) is for those that have the argument.
 */
const allowed = z
  .strictObject({
    tools: z.array(toolPattern).min(1).optional(),
    effects: z.array(effect).min(1).optional(),
    domains: z.array(label).min(1).optional(),
    when: z.record(z.string(), z.union([z.string(), z.number().int(), z.boolean()])).optional(),
    ...obligations,
  })
  .refine(({ tools, effects }) => (tools === undefined) !== (effects === undefined), {
    message: 'name either `tools` or `effects`',
  })
  .refine(({ effects, domains }) => domains === undefined || effects !== undefined, {
    message: '`domains` goes with `effects`',
  });
export type Allowed = z.infer<typeof allowed>;

/**
 * What its members allow agents that act for them (law 5): such a task needs the agent permitted and the person. Nobody is in a group
 * unless they are named, and a person whom no group or policy permits anything grants nothing.
 */
export const groupManifest = z.strictObject({
  kind: z.literal('Group'),
  name,
  description,
  /** Emails of declared people. */
  members: z.array(email).max(10_000).default([]),
  /** Members of this group of the company's directory (SCIM, by display name) belong to it as well. */
  directoryGroup: z.string().min(1).max(200).optional(),
  /** As in templates, with literal conditions only: a person has no parameters. */
  allow: z.array(allowed).default([]),
});

/** To whom tasks may be handed on (RFC 8693 token exchange): agents by name, or every agent of a blueprint. Nobody else. */
export const delegatesTo = z.strictObject({
  agents: z.array(name).max(100).default([]),
  blueprints: z.array(name).max(100).default([]),
});

export const blueprintManifest = z.strictObject({
  kind: z.literal('Blueprint'),
  name,
  description,
  /** Templates that agents of this blueprint may start tasks under. */
  templates: z.array(name).default([]),
  /** To whom its agents may hand on their tasks, in their own environment. */
  delegatesTo: delegatesTo.optional(),
});

/** Public JWK, P-256 (ES256) or Ed25519. Private members are refused. */
export const publicJwk = z.union([
  z.strictObject({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: z.string(),
    y: z.string(),
    kid: z.string().optional(),
    alg: z.string().optional(),
    use: z.string().optional(),
  }),
  z.strictObject({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: z.string(),
    kid: z.string().optional(),
    alg: z.string().optional(),
    use: z.string().optional(),
  }),
]);
export type PublicJwk = z.infer<typeof publicJwk>;

/** `Client` name, or the https address that is a client's own id. */
const clientId = z.union([name, z.url({ protocol: /^https$/ }).max(500)]);

export const agentManifest = z.strictObject({
  kind: z.literal('Agent'),
  name,
  description,
  owner: email,
  purpose: z.string().min(1).max(500),
  environment: name,
  blueprint: name,
  state: lifecycle.default('active'),
  risk: z.enum(['low', 'medium', 'high']).default('medium'),
  /** Public keys that the agent proves itself with (private_key_jwt). Usually added by `gatehouse agent enroll`. */
  keys: z.array(publicJwk).max(8).default([]),
  /** True only for clients that cannot do DPoP; shown wherever a person relies on the agent. */
  bearerOnly: z.boolean().default(false),
  /** To whom it may hand on its tasks, beside what its blueprint says. */
  delegatesTo: delegatesTo.optional(),
  /** True: tokens only over mutual TLS, bound to the agent's client certificate (RFC 8705), besides its DPoP key if it uses one. */
  certificateBound: z.boolean().optional(),
  /** OAuth clients (a `Client` by name, or the address of a client's metadata document) that drive this agent and no other. */
  clients: z.array(clientId).max(20).optional(),
});

/**
 * An application that people drive an agent with: it sends them to the consent page and gets a token for their task. A client has no
 * rights of its own. Clients with a metadata document (client ID metadata documents) need no manifest.
 */
export const clientManifest = z.strictObject({
  kind: z.literal('Client'),
  name,
  description,
  displayName: z.string().min(1).max(100),
  /** Compared character by character; the port of a loopback address may vary (RFC 8252 section 7.3). */
  redirectUris: z.array(z.url().max(500)).min(1).max(10),
  /** Public keys of a confidential client (private_key_jwt). Without keys it is a public client. */
  keys: z.array(publicJwk).max(8).default([]),
});

const hostPattern = z
  .string()
  .max(253)
  .regex(/^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, {
    message: 'is the name of a host in lower case, with *. in front for every host below it',
  });

export const toolSetting = z.strictObject({
  tier,
  effects: z.array(effect).min(1),
  /** Name of the argument that names the resource acted on, for the record's `resource`. */
  resourceArgument: z.string().max(100).optional(),
  /** What it is about: messages, calendar, files, payments, accounts, records … Templates may allow by it. */
  domain: label.optional(),
  /** What its arguments stand for. Of a grave tool it matters where such a value comes from. */
  arguments: z.record(z.string().min(1).max(100), z.strictObject({ role: argumentRole })).optional(),
  /** What its results are. Without this they are untrusted: who says nothing has vouched for nothing. */
  returns: z
    .strictObject({
      trust: trust.default('untrusted'),
      /** Kinds of sensitive data in it: personal, financial, credentials, health, confidential … */
      sensitive: z.array(label).max(20).default([]),
      /** Parts of the structured result that differ, by path: members joined by dots, `*` for every element or member. */
      fields: z
        .record(
          z.string().min(1).max(200),
          z.strictObject({
            trust: trust.optional(),
            sensitive: z.array(label).max(20).optional(),
            role: argumentRole.optional(),
          }),
        )
        .optional(),
    })
    .optional(),
  /** What tools of one store write, tools of that store may read: what a task had seen when it wrote goes with it. */
  store: name.optional(),
  /** The argument by which the tool itself limits how much it returns. */
  limitArgument: z.string().min(1).max(100).optional(),
  /**
   * True: HTML and Markdown in its results stay as they are, with comments, hidden elements and images of any host: of files that the
   * agent edits. Invisible characters and terminal escapes are taken out all the same.
   */
  keepMarkup: z.boolean().optional(),
  /** A result with more items or bytes than this waits for a person. */
  hold: z
    .strictObject({ items: z.int().min(1).optional(), bytes: z.int().min(1).optional() })
    .refine(({ items, bytes }) => items !== undefined || bytes !== undefined, { message: 'give `items` or `bytes`' })
    .optional(),
  /** Pin: the definition digest that was reviewed. Without it the first definition seen at apply is pinned. */
  definition: z
    .string()
    .regex(/^sha256-[0-9a-f]{64}$/)
    .optional(),
});
export type ToolSetting = z.infer<typeof toolSetting>;

export const transport = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('stdio'),
    /** `node` is the Node that runs Gatehouse. */
    command: z.string().min(1),
    /**
     * In files, `npm:PACKAGE` is the package's program (`npm:PACKAGE#NAME` where it has several) and `file:PATH` a path relative to the
     * file. `{workingDirectory}` is the directory that the process has to itself: of its task, or of its environment if stateless.
     */
    args: z.array(z.string()).default([]),
    /** The whole environment of the process, but for PATH. `file:` and `{workingDirectory}` as in `args`. */
    env: z.record(z.string(), z.string()).default({}),
    /** Directories of the host that it may read (`ro`) or write (`rw`), relative to the manifest's directory. */
    directories: z.array(z.strictObject({ path: z.string(), access: z.enum(['ro', 'rw']) })).default([]),
  }),
  z.strictObject({
    type: z.literal('http'),
    url: z.url(),
    /** Loopback and private addresses are refused unless an operator says that this server lives there. */
    allowPrivateAddress: z.boolean().default(false),
    /** How Gatehouse authorizes itself there (OAuth); without it no credential is sent. */
    authorization: upstreamAuthorization.optional(),
    /**
     * True: each call carries a `Txn-Token` header (draft-ietf-oauth-transaction-tokens), signed by Gatehouse for the origin of `url`: for
     * whom, by which agent, in which task, with whose approval. Only servers that are to know that.
     */
    txnToken: z.boolean().optional(),
  }),
]);
export type TransportManifest = z.infer<typeof transport>;

export const toolServerManifest = z.strictObject({
  kind: z.literal('ToolServer'),
  name,
  description,
  environments: z.array(name).min(1),
  transport,
  /** True: one connection may serve several tasks. Otherwise every task has its own. */
  stateless: z.boolean().default(false),
  /** What the operator says of each tool. A tool not named here is tier 4 and held back. */
  tools: z.record(toolName, toolSetting).default({}),
  /**
   * Hosts from which images and the like in its results may be fetched when a result is shown (`*.` in front: every host below). What
   * points elsewhere is taken out of a result, since its address can carry away what the agent knows.
   */
  allowImageHosts: z.array(hostPattern).max(100).optional(),
  /** Tier of resource reads, prompts and completion; without it they are tier 4. */
  resources: z.strictObject({ tier }).optional(),
  prompts: z.strictObject({ tier }).optional(),
  /** What the server may ask of the client. All off unless granted (law 8). */
  clientRequests: z
    .strictObject({
      sampling: z.boolean().default(false),
      elicitation: z.boolean().default(false),
      urlElicitation: z.boolean().default(false),
      roots: z.boolean().default(false),
    })
    .default({ sampling: false, elicitation: false, urlElicitation: false, roots: false }),
});

export const parameterType = z.enum(['string', 'integer', 'boolean']);

export const templateManifest = z.strictObject({
  kind: z.literal('Template'),
  name,
  description,
  parameters: z
    .record(
      z.string().regex(/^[a-z][a-zA-Z0-9_]*$/),
      z.strictObject({ type: parameterType, required: z.boolean().default(true), description }),
    )
    .default({}),
  /** What a task of this kind may do. An argument condition is a literal or `$parameter`. */
  allow: z.array(allowed).default([]),
  /** Kinds of sensitive data that are masked in every result of a task of this kind. */
  mask: z.array(label).min(1).max(20).optional(),
  ttlSeconds: z.number().int().min(60).max(86_400).default(3_600),
});

const timeOfDay = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'a time such as 09:00');
const weekday = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);
export type Weekday = z.infer<typeof weekday>;

/** When something is open, in the time of a place: `context.calendars` of policies has the names of those that are open now. */
export const calendarManifest = z.strictObject({
  kind: z.literal('Calendar'),
  name,
  description,
  /** IANA time zone: Europe/Berlin, America/New_York, UTC. Summer time is taken care of. */
  zone: z.string().min(1).max(60),
  /** A window that ends before it begins ends on the next day. */
  open: z
    .array(
      z.strictObject({
        days: z.array(weekday).min(1).max(7),
        from: timeOfDay,
        to: z.union([timeOfDay, z.literal('24:00')]),
      }),
    )
    .min(1)
    .max(50),
  /** Days on which no window begins. */
  holidays: z.array(z.iso.date()).max(1_000).default([]),
});

/**
 * Where the tickets and change requests that tasks name are followed up: policies see their state. A ticket that can't be asked about
 * is as none.
 */
export const ticketSystemManifest = z.strictObject({
  kind: z.literal('TicketSystem'),
  name,
  description,
  /** Beginnings of the ids that are looked up here: `CHG-`. */
  prefixes: z
    .array(z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,30}$/))
    .min(1)
    .max(20),
  /** Of one ticket, with `{id}` in its path. Answers JSON. */
  url: z
    .string()
    .max(1_000)
    .refine((url) => URL.canParse(url) && url.split('{id}').length === 2 && !new URL(url).host.includes('{'), {
      message: 'an address with {id} once, behind the host',
    }),
  /** Name of the stored secret (`gatehouse secrets set`) that is sent as a bearer token, to this address and nowhere else. */
  secret: name.optional(),
  /** Members that lead to the state, joined by dots: `fields.status.name`. */
  state: z.string().min(1).max(200),
  /**
   * Members that lead to the agents that the ticket is for: a name or SPIFFE ID, or a list of them. An agent names its ticket itself, so
   * that without this any agent can name any ticket; with it, one that is for others is as none.
   */
  agents: z.string().min(1).max(200).optional(),
  /** How old an answer may be. */
  refreshSeconds: z.int().min(5).max(3_600).default(60),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
});

/** Cedar text; in files it stands alone as `NAME.cedar`. */
export const policyManifest = z.strictObject({
  kind: z.literal('Policy'),
  name,
  cedar: z.string().max(1_000_000),
  /** `observe`: evaluated beside what is enforced, recorded and counted, and never part of a decision. `@mode` of a single policy goes first. */
  mode: z.enum(['enforce', 'observe']).optional(),
});

/** A foreign SPIFFE trust domain whose SVIDs can be verified. What they may do is said elsewhere; this alone lets nobody in. */
export const trustDomainManifest = z.strictObject({
  kind: z.literal('TrustDomain'),
  name: trustDomainName,
  description,
  /** Its bundle endpoint (SPIFFE Federation, profile https_web). */
  bundleUrl: z.url({ protocol: /^https?$/ }).max(2_000),
  /** PEM certificates to trust for that address instead of the system's. */
  ca: z.string().max(65_536).optional(),
  /** Loopback and private addresses are refused unless an operator says that the endpoint lives there. */
  allowPrivateAddress: z.boolean().default(false),
});

export const manifest = z.discriminatedUnion('kind', [
  environmentManifest,
  personManifest,
  groupManifest,
  blueprintManifest,
  agentManifest,
  clientManifest,
  toolServerManifest,
  templateManifest,
  policyManifest,
  calendarManifest,
  ticketSystemManifest,
  budgetManifest,
  trustDomainManifest,
  roleMappingManifest,
  agentMappingManifest,
  identityProviderManifest,
  resourceServerManifest,
  controlPolicyManifest,
  trustRuleManifest,
  workloadManifest,
]);
export type Manifest = z.infer<typeof manifest>;
export type ManifestInput = z.input<typeof manifest>;
export type EnvironmentManifest = z.infer<typeof environmentManifest>;
export type PersonManifest = z.infer<typeof personManifest>;
export type GroupManifest = z.infer<typeof groupManifest>;
export type BlueprintManifest = z.infer<typeof blueprintManifest>;
export type AgentManifest = z.infer<typeof agentManifest>;
export type ClientManifest = z.infer<typeof clientManifest>;
export type ToolServerManifest = z.infer<typeof toolServerManifest>;
export type TemplateManifest = z.infer<typeof templateManifest>;
export type PolicyManifest = z.infer<typeof policyManifest>;
export type CalendarManifest = z.infer<typeof calendarManifest>;
export type TicketSystemManifest = z.infer<typeof ticketSystemManifest>;
export type TrustDomainManifest = z.infer<typeof trustDomainManifest>;
export type AgentMappingManifest = z.infer<typeof agentMappingManifest>;
export type RoleMappingManifest = z.infer<typeof roleMappingManifest>;
export type IdentityProviderManifest = z.infer<typeof identityProviderManifest>;
export type ResourceServerManifest = z.infer<typeof resourceServerManifest>;
export type ControlPolicyManifest = z.infer<typeof controlPolicyManifest>;

/** One line of a plan. */
export const planChange = z.object({
  operation: z.enum(['create', 'update', 'delete', 'unchanged']),
  kind: z.string(),
  name: z.string(),
  /** Paths that differ, with the value before and after; absent for create, delete and unchanged. */
  differences: z.array(z.object({ path: z.string(), before: z.unknown(), after: z.unknown() })).optional(),
  /** What the change does not do although the manifest says so, and why. */
  note: z.string().optional(),
});
export type PlanChange = z.infer<typeof planChange>;
