import { z } from 'zod';
import { trustDomainName } from '../names.ts';
import { description } from './description.ts';

/** A foreign SPIFFE trust domain whose SVIDs can be verified. What they may do is said elsewhere; this alone lets nobody in. */
export const trustDomainManifest = z.strictObject({
  kind: z.literal('TrustDomain'),
  name: trustDomainName,
  description,
  /** Its bundle endpoint (SPIFFE Federation, profile https_web). */
  bundleUrl: z.url({ protocol: /^https?$/ }).max(2_000),
  /** PEM certificates to trust for that address instead of the system's. */
  ca: z.string().max(65_536).optional(),
  /** Loopback and private addresses are refused unless an operator says that the endpoint lives there. */
  allowPrivateAddress: z.boolean().default(false),
});

export type TrustDomainManifest = z.infer<typeof trustDomainManifest>;
