import { z } from 'zod';
import { email, name } from '../names.ts';
import { description } from './description.ts';
import { role } from './person.ts';

const refersTo = (kind: string, rest: z.ZodType<string>, example: string) =>
  z.string().refine((text) => text.startsWith(`${kind}:`) && rest.safeParse(text.slice(kind.length + 1)).success, {
    message: `\`${kind}:\` and a name, such as ${example}`,
  });

/** People by what they are: `owner` (of the agent), `role:ROLE`, `group:NAME`, `on-call:NAME` (who is on call then), `person:EMAIL`. */
export const approverSource = z.union([
  z.literal('owner'),
  refersTo('role', role, 'role:approver'),
  refersTo('group', name, 'group:finance'),
  refersTo('on-call', name, 'on-call:payments'),
  refersTo('person', email, 'person:ada@example.com'),
]);
export type ApproverSource = z.infer<typeof approverSource>;

const sources = z.array(approverSource).min(1).max(20);
const SECONDS_PER_DAY = 86_400;

/**
 * Who has to say yes to a call. Policies, templates and tools name it (`@approvers("NAME")`, `approvers: NAME`); where several are named for one
 * call, each has to be met. Whoever asked for the call, those for whom it is done, and machines never say yes, whatever a rule says.
 */
export const approvalRuleManifest = z.strictObject({
  kind: z.literal('ApprovalRule'),
  name,
  description,
  /** Each needs its own people: nobody counts twice within a rule. */
  steps: z
    .array(
      z.strictObject({
        /** So many different people. */
        approve: z.int().min(1).max(10).default(1),
        from: sources,
        /** Each yes for another entry of `from`. */
        distinct: z.boolean().default(false),
      }),
    )
    .min(1)
    .max(5),
  /** `serial`: a step is open once the one before it is met. */
  order: z.enum(['parallel', 'serial']).default('parallel'),
  /** So many of those who could say yes end it with their no. The owner, security, admins and the server's host end it alone. */
  deny: z.int().min(1).max(10).default(1),
  /** Who does not count although `from` names them. `requester` always holds and may be written for the reader. */
  exclude: z
    .array(z.union([z.literal('requester'), z.literal('policy-author'), approverSource]))
    .max(20)
    .default([]),
  /** How long it may wait. Without one: as long as any approval. */
  expiresAfterSeconds: z.int().min(60).max(SECONDS_PER_DAY).optional(),
  /** How long a yes counts; also how long the call may be made after it. */
  yesLastsSeconds: z.int().min(30).max(SECONDS_PER_DAY).optional(),
  /**
   * Channels (`channel:NAME`) whose own verified identity is enough for a yes. `passkey` always is and may be written for the reader; left out, nothing
   * else is.
   */
  accept: z
    .array(z.union([z.literal('passkey'), refersTo('channel', name, 'channel:finance')]))
    .max(20)
    .optional(),
  /** After this time without an answer these may say yes as well, in every step. */
  escalate: z
    .array(z.strictObject({ afterSeconds: z.int().min(30).max(SECONDS_PER_DAY), to: sources }))
    .max(5)
    .default([]),
});
export type ApprovalRuleManifest = z.infer<typeof approvalRuleManifest>;
