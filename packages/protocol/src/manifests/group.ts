import { z } from 'zod';
import { email, name } from '../names.ts';
import { allowed } from './allowed.ts';
import { description } from './description.ts';

/**
 * What its members allow agents that act for them (law 5): such a task needs the agent permitted and the person. Nobody is in a group
 * unless they are named, and a person whom no group or policy permits anything grants nothing.
 */
export const groupManifest = z.strictObject({
  kind: z.literal('Group'),
  name,
  description,
  /** Emails of declared people. */
  members: z.array(email).max(10_000).default([]),
  /** Members of this group of the company's directory (SCIM, by display name) belong to it as well. */
  directoryGroup: z.string().min(1).max(200).optional(),
  /** As in templates, with literal conditions only: a person has no parameters. */
  allow: z.array(allowed).default([]),
});

export type GroupManifest = z.infer<typeof groupManifest>;
