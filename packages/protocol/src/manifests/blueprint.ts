import { z } from 'zod';
import { asking } from '../asking.ts';
import { name } from '../names.ts';
import { description } from './description.ts';

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
  /** How often its agents may ask people. */
  asking: asking.optional(),
});

export type BlueprintManifest = z.infer<typeof blueprintManifest>;
