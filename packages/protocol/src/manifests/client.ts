import { z } from 'zod';
import { name } from '../names.ts';
import { description } from './description.ts';
import { publicJwk } from './public-jwk.ts';

/**
 * An application that people drive an agent with: it sends them to the consent page and gets a token for their task. A client has no
 * rights of its own. Clients with a metadata document (client ID metadata documents) need no manifest.
 */
export const clientManifest = z.strictObject({
  kind: z.literal('Client'),
  name,
  description,
  displayName: z.string().min(1).max(100),
  /** Compared character by character; the port of a loopback address may vary (RFC 8252 section 7.3). */
  redirectUris: z.array(z.url().max(500)).min(1).max(10),
  /** Public keys of a confidential client (private_key_jwt). Without keys it is a public client. */
  keys: z.array(publicJwk).max(8).default([]),
});

export type ClientManifest = z.infer<typeof clientManifest>;
