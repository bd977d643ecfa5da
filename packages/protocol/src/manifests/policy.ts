import { z } from 'zod';
import { name } from '../names.ts';

/** Cedar text; in files it stands alone as `NAME.cedar`. */
export const policyManifest = z.strictObject({
  kind: z.literal('Policy'),
  name,
  cedar: z.string().max(1_000_000),
  /** `observe`: evaluated beside what is enforced, recorded and counted, and never part of a decision. `@mode` of a single policy goes first. */
  mode: z.enum(['enforce', 'observe']).optional(),
});

/** Cedar text about the control API itself: who of the people may do what. */
export const controlPolicyManifest = z.strictObject({
  kind: z.literal('ControlPolicy'),
  name,
  cedar: z.string().max(200_000),
});

export type PolicyManifest = z.infer<typeof policyManifest>;
export type ControlPolicyManifest = z.infer<typeof controlPolicyManifest>;
