import { z } from 'zod';
import { name, toolRef } from './names.ts';

/**
 * Another gateway that asks here whether a call may be made, and makes it itself. It is a workload: it proves who it is with its own SVID,
 * and speaks of the tool servers that stand behind it and of no others.
 */

/** `https://HOST` or `https://HOST:PORT`. */
const origin = z
  .url({ protocol: /^https?$/ })
  .max(300)
  .refine((url) => URL.parse(url)?.origin === url, 'an origin: scheme, host and port, without a path');

/** Literal segments only: a path that could be written in two ways has no place here. */
const exactPath = z
  .string()
  .max(300)
  .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'a path of plain segments: letters, digits, ".", "_", "~", "-"');

/** As `exactPath`, where a segment may be `{name}`. */
const pathTemplate = z
  .string()
  .max(300)
  .regex(
    /^(\/([A-Za-z0-9._~-]+|\{[a-z][A-Za-z0-9_]*\}))+$/,
    'a path of plain segments, of which some may be {name}: /orders/{order}',
  );

const sourceName = '[A-Za-z_][A-Za-z0-9_-]*';

/** Where an argument of the tool comes from in an HTTP request. */
const httpSource = z
  .string()
  .max(120)
  .regex(
    new RegExp(`^\\$(path|query|body)\\.${sourceName}$|^\\$body$`),
    '$path.NAME, $query.NAME, $body.NAME or $body (all of it)',
  );

/** An HTTP request that is one call of one tool. What of a request no argument covers is refused, not ignored. */
export const gatewayRoute = z.strictObject({
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: pathTemplate,
  tool: toolRef,
  arguments: z.record(z.string().min(1).max(100), httpSource).default({}),
});
export type GatewayRoute = z.infer<typeof gatewayRoute>;

/** Where an argument of the tool comes from in an AuthZEN request; with `?` it is left out where there is none. */
const authzenSource = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^\\$(resource\\.id|resource\\.type|(resource|subject|action)\\.properties\\.${sourceName})\\??$`),
    '$resource.id, $resource.properties.NAME, $subject.properties.NAME or $action.properties.NAME; with ? at the end where it may be missing',
  );

const headerName = z
  .string()
  .max(100)
  .regex(/^[a-z0-9][a-z0-9_-]*$/, 'the name of a header in lower case')
  .refine((header) => !['authorization', 'dpop'].includes(header), 'the token of the agent, which goes no further')
  .refine((header) => !header.startsWith('x-gatehouse-'), 'one that Gatehouse sets itself');

/** What a gateway calls by its own names: resources of a type, and which tool an action on one is. */
export const gatewayResource = z.strictObject({
  type: z.string().min(1).max(100),
  actions: z.record(z.string().min(1).max(100), toolRef),
  arguments: z.record(z.string().min(1).max(100), authzenSource).default({}),
  /** Resources that a search finds: Gatehouse keeps no list of what is behind another gateway. */
  known: z
    .array(
      z.strictObject({
        id: z.string().min(1).max(300),
        properties: z.record(z.string().max(100), z.union([z.string().max(500), z.number(), z.boolean()])).default({}),
      }),
    )
    .max(1_000)
    .default([]),
});

/** Somebody whom the gateway has authenticated itself, and whom it may therefore name here without a token of theirs. */
export const gatewaySubject = z.strictObject({
  type: z.string().min(1).max(100),
  id: z.string().min(1).max(300),
  agent: name,
  /**
   * The task that it acts in: one is started under this template when there is none, vouched for by the gateway (which needs the agent under
   * `starts`). Without it each request names a running task of the agent.
   */
  template: name.optional(),
  /** What is known of it: counts before what a request says of the same name. */
  properties: z.record(z.string().max(100), z.union([z.string().max(500), z.number(), z.boolean()])).default({}),
});

export const gatewaySetting = z.strictObject({
  /** Tool servers that stand behind it. */
  servers: z.array(name).min(1).max(200),
  /** Where agents reach it: their DPoP proofs are made for an address below one of these. */
  urls: z.array(origin).max(20).default([]),
  /** MCP endpoints of it by path, each with the tool server that is there. */
  mcp: z.record(exactPath, name).default({}),
  routes: z.array(gatewayRoute).max(1_000).default([]),
  /**
   * Request headers, in lower case, that Envoy passes on besides those of HTTP and MCP themselves. All others are taken out: nobody has decided
   * on what they say, and what stands behind may take one for a proven identity.
   */
  headers: z.array(headerName).max(50).default([]),
  resources: z.array(gatewayResource).max(200).default([]),
  subjects: z.array(gatewaySubject).max(1_000).default([]),
});
export type GatewaySetting = z.infer<typeof gatewaySetting>;
