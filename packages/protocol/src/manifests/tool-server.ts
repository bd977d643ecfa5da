import { z } from 'zod';
import { argumentRole, effect, label, name, tier, toolName, trust } from '../names.ts';
import { upstreamAuthorization } from '../upstream-authorization.ts';
import { description } from './description.ts';
import { httpCredential, stdioCredential } from './injection.ts';

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
  arguments: z
    .record(
      z.string().min(1).max(100),
      z.strictObject({
        role: argumentRole,
        /** Of a destination. `nobody`: a call without it goes to nobody to whom it, or what it changes, did not go before. */
        leftOut: z.literal('nobody').optional(),
      }),
    )
    .optional(),
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
  /** The rule (kind: ApprovalRule) of who has to say yes where a person has to approve a call. */
  approvers: name.optional(),
  /** True: doing it twice with the same arguments is doing it once, so that a call whose outcome nobody knows may be repeated. */
  idempotent: z.boolean().optional(),
  /** The argument by whose value the tool itself knows a repetition, and does it once. */
  idempotencyArgument: z.string().min(1).max(100).optional(),
  /** Whether what it does can be undone: approvers are told, and only what can is signed together with others. Without it it can't. */
  undo: z
    .strictObject({
      possible: z.enum(['yes', 'partly', 'no']),
      /** For people: `refund again in the shop's back office`. */
      how: z.string().min(1).max(500).optional(),
      /** For how long. */
      withinSeconds: z.int().min(1).optional(),
    })
    .refine(({ possible, how, withinSeconds }) => possible !== 'no' || (how ?? withinSeconds) === undefined, {
      message: 'what can’t be undone has neither `how` nor `withinSeconds`',
    })
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
    /**
     * A credential of the task's own, for its process, which ends with it. The agent never sees it. What the server serves is asked of a
     * process without it.
     */
    credential: stdioCredential.optional(),
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
    /** A credential of the task's own, with each request for it. The agent never sees it. */
    credential: httpCredential.optional(),
  }),
]);

export type ServerCredential = NonNullable<z.infer<typeof transport>['credential']>;

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

export type ToolServerManifest = z.infer<typeof toolServerManifest>;
