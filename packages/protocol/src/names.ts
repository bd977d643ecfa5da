import { z } from 'zod';

/** Lower-case words joined by single hyphens. No `__`, `+` or `/`: those join names in tool names, URIs and references. */
const named = () =>
  z
    .string()
    .max(64)
    .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'lower-case letters, digits and single hyphens, beginning with a letter');
export const name = named();

/** A stored secret (`gatehouse secrets set`), for an address that stands beside it; manifests are searched for it by this schema. */
export const secretName = named();
/** The same of one that is set for Gatehouse's own address: what others sign with toward it. */
export const ownSecretName = named();

/** A tool as the server calls it (MCP tool name characters). */
export const toolName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9_.-]+$/);

/** `server/tool`, the reference used in templates, policies, records and the console. */
export const toolRef = z
  .string()
  .max(200)
  .regex(/^[a-z][a-z0-9-]*\/[A-Za-z0-9_.-]+$/);

/**
 * `server/tool`, `server/*` (all its tools), `*` (all tools), `server#resources` or `server#prompts` (reading what is not a tool,
 * completion included).
 */
export const toolPattern = z
  .string()
  .max(200)
  .regex(/^(\*|[a-z][a-z0-9-]*(\/(\*|[A-Za-z0-9_.-]+)|#(resources|prompts)))$/);

/** A SPIFFE trust domain: lower case, no port, no user (SPIFFE-ID §2.1). */
export const trustDomainName = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[a-z0-9._-]+$/, 'a SPIFFE trust domain: lower-case letters, digits, dots, hyphens and underscores');

export const email = z.email().max(254);

/** 1 autonomous, 2 automated and logged for review, 3 needs a person's approval, 4 prohibited. */
export const tier = z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]);
export type Tier = z.infer<typeof tier>;

/** What a tool does to the world; groups tools in policies. */
export const effect = z.enum(['read', 'write', 'delete', 'send', 'pay', 'export', 'deploy', 'administer']);
export type Effect = z.infer<typeof effect>;

/** What a tool is about, or what kind of sensitive data a result holds: a word of the operator's own. */
export const label = z
  .string()
  .max(40)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'a lower-case word, or several with hyphens');

/** What an argument of a tool (or a part of a result) stands for. */
export const argumentRole = z.enum([
  'recipient',
  'account',
  'url',
  'path',
  'identifier',
  'amount',
  'credential',
  'command',
  'name',
  'date',
  'content',
  'query',
]);
export type ArgumentRole = z.infer<typeof argumentRole>;

/** The built-in rules of information flow, by the id that stands in decisions after `gatehouse/flow#`. */
export const flowRule = z.enum([
  'untrusted-argument',
  'unknown-argument',
  'untrusted-amount',
  'unknown-amount',
  'chosen-after-reading',
  'untrusted-link',
  'sensitive-out',
  'sensitive-url',
]);

/** The built-in rules on unusual calls, by the id that stands in decisions after `gatehouse/baseline#`. */
export const baselineRule = z.enum(['unusual-grave-call', 'unusual-call']);

export const trust = z.enum(['trusted', 'untrusted']);
export type Trust = z.infer<typeof trust>;

export const lifecycle = z.enum(['draft', 'active', 'suspended', 'retired']);
export type Lifecycle = z.infer<typeof lifecycle>;
