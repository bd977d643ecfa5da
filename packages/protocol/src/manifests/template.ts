import { z } from 'zod';
import { asking } from '../asking.ts';
import { label, name } from '../names.ts';
import { allowed } from './allowed.ts';
import { askedScope } from './credential-providers/index.ts';
import { description } from './description.ts';

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
  /** How often agents may ask people in tasks of this kind. */
  asking: asking.optional(),
  /**
   * What tasks of this kind are given of a credential provider at most, in the words of its kind: a tool server, or whoever calls directly, gets
   * what it asks for and this allows. A value may be `$parameter`. A provider that is not named here is not limited here.
   */
  credentials: z
    .array(
      z.strictObject({
        provider: name,
        scope: askedScope.default({}),
        /** They may be handed it, for clients of their own, as the provider's manifest says under `direct`. */
        direct: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(50)
    .optional(),
  ttlSeconds: z.number().int().min(60).max(86_400).default(3_600),
});

export type TemplateManifest = z.infer<typeof templateManifest>;
