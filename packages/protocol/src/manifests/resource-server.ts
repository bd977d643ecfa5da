import { z } from 'zod';
import { name } from '../names.ts';
import { description } from './description.ts';

/**
 * Another authorization server at which agents may act for people: they get an ID-JAG for it
 * (draft-ietf-oauth-identity-assertion-authz-grant). What they do there no gate sees.
 */
export const resourceServerManifest = z.strictObject({
  kind: z.literal('ResourceServer'),
  name,
  description,
  /** Exactly as it calls itself. */
  issuer: z.url().max(500),
  /** Resources there that may be asked for. */
  resources: z.array(z.url().max(2_000)).max(50).default([]),
  /** Scopes there that may be asked for. */
  scopes: z
    .array(
      z
        .string()
        .max(200)
        .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/),
    )
    .max(64)
    .default([]),
  /** Agents that may, each with the client id by which it is known there. */
  clients: z.record(name, z.string().min(1).max(500)),
  /** Only in tasks of these templates; of a task that was handed on, every task of its chain. */
  templates: z.array(name).min(1).max(100),
  /** Only for people in one of these groups. */
  groups: z.array(name).min(1).max(100),
});

export type ResourceServerManifest = z.infer<typeof resourceServerManifest>;
