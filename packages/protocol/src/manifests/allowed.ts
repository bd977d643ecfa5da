import { z } from 'zod';
import { effect, label, name, toolPattern } from '../names.ts';
import { grantLimits } from '../standing-grants.ts';

const obligations = {
  /** Kinds of sensitive data that are named instead of shown in results: personal, financial, credentials, and those that tools are labelled with. */
  mask: z.array(label).min(1).max(20).optional(),
  /** Kinds that are shown although they are always masked (credentials), of tools whose `returns.sensitive` says that they have them. */
  reveal: z.array(label).min(1).max(20).optional(),
  /** The most items that a result may have. Tools with a `limitArgument` are asked for no more; what has more waits for a person. */
  limit: z.int().min(1).max(999_999_999).optional(),
  /** The rule (kind: ApprovalRule) of who has to say yes where a person has to approve a call. */
  approvers: name.optional(),
};

/** Whoever approves a call may let up to `calls` more of the same task run for up to `seconds`, within bounds that they sign. */
const grantable = z.strictObject({
  calls: z.int().min(1).max(grantLimits.calls),
  seconds: z.int().min(60).max(grantLimits.seconds),
});

/**
 * What may be used: tools by name (`tools`), or every registered tool of a kind: all its effects are among `effects`, and its domain among
 * `domains` if those are given. A condition (`when`) is for those that have the argument.
 */
export const allowed = z
  .strictObject({
    tools: z.array(toolPattern).min(1).optional(),
    effects: z.array(effect).min(1).optional(),
    domains: z.array(label).min(1).optional(),
    when: z.record(z.string(), z.union([z.string(), z.number().int(), z.boolean()])).optional(),
    ...obligations,
    grantable: grantable.optional(),
  })
  .refine(({ tools, effects }) => (tools === undefined) !== (effects === undefined), {
    message: 'name either `tools` or `effects`',
  })
  .refine(({ effects, domains }) => domains === undefined || effects !== undefined, {
    message: '`domains` goes with `effects`',
  });
export type Allowed = z.infer<typeof allowed>;
