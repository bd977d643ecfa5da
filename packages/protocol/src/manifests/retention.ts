import { z } from 'zod';
import { label, name, tier } from '../names.ts';
import { description } from './description.ts';

/** No six months are longer: EU AI Act, articles 19(1) and 26(6). Fewer need two people. */
export const RETENTION_MINIMUM_DAYS = 184;

const period = z.union([z.literal('forever'), z.int().min(1).max(36_500)]);
export type RetentionPeriod = z.infer<typeof period>;

/**
 * How long records of a kind, and the arguments that stand beside them, are kept. Of all classes that a record fits the one that keeps it
 * longest counts; a record that none says anything of is kept for ever.
 */
export const retentionManifest = z.strictObject({
  kind: z.literal('Retention'),
  name,
  description,
  /** A record has to fit all that is given; of a list, one. Without it every record of an action does. */
  of: z
    .strictObject({
      /** Administrative changes (`change`) only where operations are named as well. */
      kinds: z
        .array(z.enum(['request', 'dispatch', 'outcome', 'change']))
        .min(1)
        .optional(),
      /** `tools/call`, or `token.*` for all that begin so. */
      operations: z
        .array(z.string().regex(/^[A-Za-z0-9./_-]{1,100}\*?$/))
        .min(1)
        .max(100)
        .optional(),
      environments: z.array(name).min(1).max(100).optional(),
      agents: z.array(name).min(1).max(1_000).optional(),
      templates: z.array(name).min(1).max(100).optional(),
      /** `crm/search`, or `crm/*`. */
      tools: z
        .array(z.string().regex(/^[^\s*]{1,200}(\/\*)?$/))
        .min(1)
        .max(500)
        .optional(),
      /** As the decision gave it. */
      tiers: z.array(tier).min(1).max(4).optional(),
      /** Labels of the task: `untrusted`, or a kind of sensitive data. One of them is enough. */
      labels: z.array(label).min(1).max(100).optional(),
    })
    .default({}),
  /** Days; without it as `--keep-arguments` says. */
  arguments: period.optional(),
  /** Days. The leaf hashes stay in the tree. */
  records: period.optional(),
  /** Why fewer than 184 days are enough. Counts once somebody else than who applied it has agreed. */
  belowMinimum: z.string().min(3).max(500).optional(),
  /** `leave`: what is published keeps what it has, as an archive of its own. */
  published: z.enum(['remove', 'leave']).default('remove'),
});
export type RetentionManifest = z.infer<typeof retentionManifest>;
