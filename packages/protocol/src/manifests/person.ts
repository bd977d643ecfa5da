import { z } from 'zod';
import { quietHours } from '../asking.ts';
import { email, name } from '../names.ts';
import { description } from './description.ts';

export const role = z.enum(['admin', 'security', 'approver', 'auditor', 'developer', 'owner']);
export type Role = z.infer<typeof role>;

export const personManifest = z.strictObject({
  kind: z.literal('Person'),
  email,
  displayName: z.string().min(1).max(100),
  roles: z.array(role).min(1),
  /** Takes this person's agents over when they leave. Without one the agents are suspended. */
  successor: email.optional(),
  /** When they are not told of what waits for them, unless they are on call and it can't wait. */
  quietHours: quietHours.optional(),
});

/** Which roles the members of a provisioned group have. A directory says who is in a group; only a manifest says what that is worth. */
export const roleMappingManifest = z.strictObject({
  kind: z.literal('RoleMapping'),
  name,
  description,
  /** The group's display name, as the directory gives it. */
  group: z.string().min(1).max(200),
  roles: z.array(role).min(1),
});

export type PersonManifest = z.infer<typeof personManifest>;
export type RoleMappingManifest = z.infer<typeof roleMappingManifest>;
