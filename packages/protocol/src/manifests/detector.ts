import { z } from 'zod';
import { effect, label, name, secretName, toolPattern } from '../names.ts';
import { description } from './description.ts';

export const severity = z.enum(['low', 'medium', 'high']);
export type Severity = z.infer<typeof severity>;
const fromSeverity = z.enum(['low', 'medium', 'high', 'never']);

/**
 * A service that looks at results before agents see them. What it says can label a result, mask pieces of it and have a person asked; nothing
 * that it says makes a result more trusted, shows what is masked or releases what is held.
 */
export const detectorManifest = z.strictObject({
  kind: z.literal('Detector'),
  name,
  description,
  /** Where it is asked, by POST. https, unless it lives at a private address. */
  url: z.url().max(1_000),
  /** Name of the stored secret (`gatehouse secrets set`) that is sent as a bearer token, to this address and nowhere else. */
  secret: secretName.optional(),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's. */
  ca: z.string().max(100_000).optional(),
  environments: z.array(name).min(1).max(100),
  /** Tools whose results it looks at; with `effects` or `domains`, those of them that have one of these. Without any: all tools. */
  tools: z.array(toolPattern).min(1).max(100).optional(),
  effects: z.array(effect).min(1).optional(),
  domains: z.array(label).min(1).max(100).optional(),
  /**
   * What happens to a result that it could not look at (no answer, not in time, an answer that makes no sense, more text than is sent). True: a person
   * has to release it. False: it is untrusted.
   */
  required: z.boolean().default(true),
  timeoutMs: z.int().min(50).max(10_000).default(2_000),
  /** What its findings are worth, by their kind. A kind that is not here makes a result untrusted. */
  kinds: z
    .record(label, z.strictObject({ untrusted: z.boolean().optional(), sensitive: label.optional() }))
    .default({}),
  /** Pieces that it names are masked from this severity on; those of a sensitive kind wherever that kind is masked. */
  maskFrom: fromSeverity.default('medium'),
  /** A result is held until a person releases it from this severity on. */
  holdFrom: fromSeverity.default('high'),
});
export type DetectorManifest = z.infer<typeof detectorManifest>;
