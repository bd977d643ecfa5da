import { z } from 'zod';
import { asking } from '../asking.ts';
import { label, name } from '../names.ts';
import { allowed } from './allowed.ts';
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
  ttlSeconds: z.number().int().min(60).max(86_400).default(3_600),
});

export type TemplateManifest = z.infer<typeof templateManifest>;
