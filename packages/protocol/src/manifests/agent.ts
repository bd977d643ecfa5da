import { z } from 'zod';
import { email, lifecycle, name } from '../names.ts';
import { delegatesTo } from './blueprint.ts';
import { description } from './description.ts';
import { publicJwk } from './public-jwk.ts';

/** `Client` name, or the https address that is a client's own id. */
const clientId = z.union([name, z.url({ protocol: /^https$/ }).max(500)]);

export const agentManifest = z.strictObject({
  kind: z.literal('Agent'),
  name,
  description,
  owner: email,
  purpose: z.string().min(1).max(500),
  environment: name,
  blueprint: name,
  state: lifecycle.default('active'),
  risk: z.enum(['low', 'medium', 'high']).default('medium'),
  /** Public keys that the agent proves itself with (private_key_jwt). Usually added by `gatehouse agent enroll`. */
  keys: z.array(publicJwk).max(8).default([]),
  /** True only for clients that cannot do DPoP; shown wherever a person relies on the agent. */
  bearerOnly: z.boolean().default(false),
  /** To whom it may hand on its tasks, beside what its blueprint says. */
  delegatesTo: delegatesTo.optional(),
  /** True: tokens only over mutual TLS, bound to the agent's client certificate (RFC 8705), besides its DPoP key if it uses one. */
  certificateBound: z.boolean().optional(),
  /** The longest life of a credential that a task of it is given, through the gate or directly; left out: what providers allow. */
  credentialSeconds: z.int().min(30).max(3_600).optional(),
  /** OAuth clients (a `Client` by name, or the address of a client's metadata document) that drive this agent and no other. */
  clients: z.array(clientId).max(20).optional(),
});

/** What agents of a type that a directory names (SCIM) are here. Without a mapping it makes none of that type. */
export const agentMappingManifest = z.strictObject({
  kind: z.literal('AgentMapping'),
  name,
  description,
  /** `agentType`, exactly as the directory gives it. */
  agentType: z.string().min(1).max(100),
  environment: name,
  blueprint: name,
  risk: z.enum(['low', 'medium', 'high']).default('medium'),
});

export type AgentManifest = z.infer<typeof agentManifest>;
export type AgentMappingManifest = z.infer<typeof agentMappingManifest>;
