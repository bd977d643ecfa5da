import { z } from 'zod';
import { deviationKind } from './baseline.ts';
import { askedScope } from './manifests/credential-provider.ts';
import { argumentRole, effect, label, name, type Tier, tier, toolName, toolRef } from './names.ts';
import type { Decision, Obligations } from './records.ts';

/** A part of a text. Lines and columns count from 1; the end is the place after the last character. */
export interface Place {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

/** Something to put right, or to look at, in what governs agents. */
export interface PolicyProblem {
  /** Stable: `policy.invalid`, `lint.shadowed` … */
  code: string;
  severity: 'error' | 'warning' | 'info';
  /** Of the manifest: `Policy`, `Template`, `Group`, `ToolServer` … */
  kind: string;
  name: string;
  /** Id of the one policy that it is about. */
  policy: string | null;
  /** In the manifest: `allow[0].tools[1]`; empty for the whole. */
  path: string;
  /** In the Cedar text of a policy. */
  place: Place | null;
  message: string;
  /** What to do. */
  help: string | null;
}

/** The same with its place in the files that were read; null where it is about no one place. */
export interface LocatedProblem extends PolicyProblem {
  file: string | null;
  at: Place | null;
  /** The first of its lines. */
  source: string | null;
}

const schemaObject = z.record(z.string(), z.unknown());

/**
 * What tools take and give, as approved, in a file beside the manifests (`gatehouse definitions pull`): with it policies are checked and
 * tested without a server.
 */
export const toolDefinitions = z.strictObject({
  kind: z.literal('ToolDefinitions'),
  servers: z.record(
    name,
    z.record(
      toolName,
      z.strictObject({
        digest: z.string().regex(/^sha256-[0-9a-f]{64}$/),
        inputSchema: schemaObject,
        outputSchema: schemaObject.optional(),
      }),
    ),
  ),
});
export type ToolDefinitions = z.infer<typeof toolDefinitions>;

export const provenance = z.enum(['stated', 'trusted', 'endorsed', 'derived', 'untrusted', 'unknown']);

const followed = z.strictObject({ id: z.string().max(200), state: z.string().max(200) });

/** What is known around a call that is only thought of. */
export const supposedSituation = z.strictObject({
  now: z.iso.datetime({ offset: true }).optional(),
  /** Those that are open. Unsaid: those that are declared, by the time. */
  calendars: z.array(name).max(100).optional(),
  address: z.union([z.ipv4(), z.ipv6()]).optional(),
  ticket: followed.optional(),
  changeRequest: followed.optional(),
  /** The agent has not used this tool before. */
  firstUse: z.boolean().optional(),
  /** In what the call differs from what the agent usually does. */
  deviations: z.array(deviationKind).max(7).optional(),
  /** The task has seen untrusted content. */
  untrusted: z.boolean().optional(),
  /** No argument of the call can carry a text. */
  textless: z.boolean().optional(),
  /** The call leaves out whom it goes to, and so reaches nobody new. */
  reachesNobody: z.boolean().optional(),
  /** Kinds of sensitive data that it has seen. */
  sensitive: z.array(z.string().max(40)).max(20).optional(),
  /**
   * Where each argument that has a role comes from; one word for all of them. Unsaid: `stated` for the value of a parameter of the task,
   * else `unknown`.
   */
  provenance: z.union([provenance, z.record(z.string().max(100), provenance)]).optional(),
});
export type SupposedSituation = z.infer<typeof supposedSituation>;

/** An agent by its name, or one that is thought of. */
const supposedAgent = z.union([
  name,
  z.strictObject({
    name: name.optional(),
    blueprint: name.optional(),
    environment: name.optional(),
    owner: z.string().max(254).optional(),
    risk: z.enum(['low', 'medium', 'high']).optional(),
  }),
]);

const parameters = z.record(z.string().max(100), z.union([z.string().max(10_000), z.int(), z.boolean()]));
const link = z.strictObject({ agent: supposedAgent.optional(), template: name, parameters: parameters.optional() });

/** What a task asks for that is to be handed a credential: a part of what it may have, all of it where it says nothing. */
export const askedHandOut = z.strictObject({
  scope: askedScope.default({}),
  seconds: z.int().min(30).max(3_600).optional(),
});

/** On whose authority, and when. */
const supposed = {
  /** Left out: any agent whose blueprint has the template. */
  agent: supposedAgent.optional(),
  template: name.optional(),
  parameters: parameters.optional(),
  /** The person for whom the task acts: the email of a declared one, or one that is thought of. */
  user: z
    .union([
      z.email().max(254),
      z.strictObject({
        email: z.email().max(254),
        groups: z.array(name).max(100).optional(),
        roles: z.array(z.string().max(40)).max(20).optional(),
      }),
    ])
    .optional(),
  /** Who handed the task on, nearest first. */
  handedOnBy: z.array(link).max(8).optional(),
  /** Tool patterns to which the task was narrowed. */
  narrowedTo: z.array(z.string().max(200)).max(64).optional(),
  situation: supposedSituation.optional(),
};

/** A call that nobody makes: what would the policies say of it? */
export const supposedCall = z.strictObject({
  ...supposed,
  /** `server/tool`, `server#resources` and the like, or `provider#credential`: a credential that the task is handed itself. */
  tool: z.string().max(200),
  arguments: z.record(z.string(), z.unknown()).optional(),
});
export type SupposedCall = z.infer<typeof supposedCall>;

const effectOfDecision = z.enum(['allow', 'deny', 'needs-approval']);

export const expectation = z.union([
  effectOfDecision,
  z.strictObject({
    decision: effectOfDecision,
    tier: z.int().min(1).max(4).optional(),
    /** Of the decision: `policy.forbidden`, `tier.needs-approval` … */
    code: z.string().max(100).optional(),
    /** Ids of policies that the decision rests on; others may be among them. */
    policies: z.array(z.string().max(300)).max(50).optional(),
    /** The rules by which a person would be asked: all of them, in any order. */
    approvers: z.array(name).max(20).optional(),
    /** A part of the reason that is given. */
    reason: z.string().max(500).optional(),
  }),
]);
export type Expectation = z.infer<typeof expectation>;

/** A tool that tests speak of where no manifest registers one: packs of policies that fit any server are tested with these. */
const standIn = z.strictObject({
  tier,
  effects: z.array(effect).min(1),
  domain: label.optional(),
  arguments: z
    .record(
      z.string().min(1).max(100),
      z.strictObject({
        type: z.enum(['string', 'integer', 'boolean', 'strings']).default('string'),
        role: argumentRole.optional(),
        required: z.boolean().default(true),
      }),
    )
    .default({}),
});
export type StandIn = z.infer<typeof standIn>;

/** A kind of task that tests speak of where no manifest declares one: for policies that are for the templates of others. */
const standInTemplate = z.strictObject({
  allow: z
    .array(
      z.strictObject({
        tools: z.array(z.string().max(200)).min(1).optional(),
        effects: z.array(effect).min(1).optional(),
        domains: z.array(label).min(1).optional(),
      }),
    )
    .min(1)
    .max(50),
});
export type StandInTemplate = z.infer<typeof standInTemplate>;

/** All of a directory. */
export interface StandIns {
  /** By `server/tool`. */
  tools: Record<string, StandIn>;
  /** By name. */
  templates: Record<string, StandInTemplate>;
}

/**
 * Tests of policies, in files called `*.test.yaml` beside the manifests. `given` holds for every test that does not say otherwise; a test's
 * own parameters, arguments and situation add to it.
 */
export const policyTestFile = z.strictObject({
  description: z.string().max(2_000).optional(),
  /** By `server/tool`; for all test files of the directory. */
  standIns: z.record(toolRef, standIn).optional(),
  /** By name; for all test files of the directory. */
  standInTemplates: z.record(name, standInTemplate).optional(),
  given: z.strictObject(supposed).optional(),
  tests: z
    .array(
      z
        .strictObject({
          name: z.string().min(1).max(200),
          ...supposed,
          tool: z.string().max(200).optional(),
          /** The same of each. */
          tools: z.array(z.string().max(200)).min(1).max(200).optional(),
          arguments: z.record(z.string(), z.unknown()).optional(),
          expect: expectation,
        })
        .refine(({ tool, tools }) => (tool === undefined) !== (tools === undefined), {
          message: 'name either `tool` or `tools`',
        }),
    )
    .max(5_000)
    .default([]),
});
export type PolicyTestFile = z.infer<typeof policyTestFile>;

/** What came of one test. */
export interface PolicyTestResult {
  file: string;
  line: number;
  name: string;
  tool: string;
  passed: boolean;
  expected: Exclude<Expectation, string>;
  /** Null: the test itself is wrong, and `problem` says how. */
  got: {
    decision: 'allow' | 'deny' | 'needs-approval';
    tier: number;
    code: string;
    reason: string;
    policies: string[];
  } | null;
  /** What differs from what was expected, or is wrong with the test. */
  problem: string | null;
  /** Of a test that failed: what became of each policy. */
  explanation: string[];
}

/** How often the tests saw a policy apply, and how often they saw it in scope and not apply. */
export interface PolicyCoverage {
  policy: string;
  applied: number;
  heldBack: number;
}

export interface PolicyTestReport {
  results: PolicyTestResult[];
  coverage: PolicyCoverage[];
}

/** One condition of a policy for one call. */
export interface ExplainedClause {
  /** As it is written. */
  cedar: string;
  words: string;
  /** Null: it was not looked at, or could not be evaluated. */
  holds: boolean | null;
  error: string | null;
  /** What it looked at, by path. */
  values: Record<string, unknown>;
}

/** A policy that is about a call, and what became of it. `raise`: a forbid with a tier. */
export interface ExplainedPolicy {
  id: string;
  effect: 'permit' | 'forbid' | 'raise';
  applies: boolean;
  tier: Tier | null;
  reason: string | null;
  clauses: ExplainedClause[];
}

/** What the policies say of one call, and why: of those that are in force, whenever the call was made. */
export interface PolicyExplanation {
  call: { agent: string; template: string; environment: string; user: string | null; tool: string; arguments: unknown };
  decision: {
    effect: 'allow' | 'deny' | 'needs-approval';
    tier: Tier;
    code: string;
    reason: string;
    policies: string[];
    policyVersion: string;
    /** What a call is bound to, with the rules of who says yes. */
    obligations?: Obligations;
  };
  /** As it was decided then; only of an action of the record. */
  recorded: {
    effect: string;
    tier: number;
    code: string;
    reason: string;
    policies: string[];
    policyVersion: string;
  } | null;
  /** For each on whose authority it is done: the task, those who handed it on, the person. */
  sides: { kind: 'task' | 'handed-on-by' | 'user'; name: string; policies: ExplainedPolicy[] }[];
  tier: { tool: Tier; raisedBy: { policy: string; tier: Tier; reason: string | null }[] };
  /** What the call would be made with at the tool server, which the agent does not see; null where that takes no credential. */
  credential: CallCredential | null;
  /** Of a credential that the agent itself would be handed: for how long, why no longer, and what remains of it after its end, in words. */
  handOut: { seconds: number; clamped: string[]; residual: string } | null;
  /** What can be done about it. */
  next: string[];
}

/** The narrowest credential for a call, in the words of its provider's kind; or why there is none, so that the call is refused. */
export interface CallCredential {
  provider: string;
  scope: Record<string, unknown> | null;
  problem: string | null;
}

export const explainBody = z.union([
  z.strictObject({ action: z.string().max(200) }),
  z.strictObject({ call: supposedCall }),
]);

/** One call of a task that runs now. */
export const decideBody = z.strictObject({
  task: z.string().max(200),
  /** `server/tool`, or `provider#credential`. */
  tool: z.string().max(200),
  arguments: z.record(z.string(), z.unknown()).default({}),
});

/** What would be decided of it at this moment: by policies, labels of what the task has read, budgets. Nothing is recorded or used up. */
export interface ForeseenDecision {
  call: { agent: string; task: string; template: string; environment: string; tool: string };
  decision: Decision;
}

/** A policy file as it is in force; the built-in one is always there. */
export interface PolicyFileView {
  name: string;
  builtIn: boolean;
  mode: 'enforce' | 'observe';
  cedar: string;
}

export type PolicyFileSummary = Omit<PolicyFileView, 'cedar'> & { lines: number };

/** A policy file that is only thought of. */
export const policyFileBody = z.strictObject({
  name,
  cedar: z.string().max(1_000_000),
  mode: z.enum(['enforce', 'observe']).optional(),
});

export interface PolicyApi {
  'GET /policies': { items: PolicyFileSummary[]; cursor: string | null };
  'GET /policies/:name': PolicyFileView;
  'POST /policy/check': { problems: PolicyProblem[] };
  'POST /policy/explain': PolicyExplanation;
  'POST /decide': ForeseenDecision;
}
