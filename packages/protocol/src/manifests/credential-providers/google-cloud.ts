import { z } from 'zod';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

const scopes = z
  .array(z.string().regex(/^https:\/\/www\.googleapis\.com\/auth\/[a-z0-9._-]{1,100}$/, 'is an OAuth scope of Google'))
  .min(1)
  .max(20);

const bucketRule = z.strictObject({
  bucket: z.string().regex(/^[a-z0-9][a-z0-9._-]{1,220}$/, 'is the name of a bucket'),
  /** Of Cloud Storage: `roles/storage.objectViewer`. */
  roles: z
    .array(z.string().regex(/^roles\/storage\.[A-Za-z]{1,60}$/, 'is a role of Cloud Storage'))
    .min(1)
    .max(10),
  /** Objects whose names begin with it. */
  prefix: z
    .string()
    .max(500)
    .regex(/^[^'"\\\p{Cc}]*$/u, 'has quotes or backslashes in it')
    .default(''),
});
export type BucketRule = z.infer<typeof bucketRule>;
/** Google takes no more in one access boundary. */
const buckets = z.array(bucketRule).min(1).max(10);

export const googleCloudSource = z.strictObject({
  type: z.literal('google-cloud'),
  /** Of the workload identity pool. */
  provider: z
    .string()
    .regex(
      /^projects\/\d{1,20}\/locations\/global\/workloadIdentityPools\/[a-z0-9-]{4,32}\/providers\/[a-z0-9-]{4,32}$/,
      'is projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER',
    ),
  /** That is impersonated. What it may not do no token may. */
  serviceAccount: z
    .string()
    .max(200)
    .regex(/^[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com$/, 'is the mail address of a service account'),
  /** What any token may reach at most. */
  scopes,
  /** Where it is given: each token is for Cloud Storage alone, and for these buckets at most (Credential Access Boundaries). */
  buckets: buckets.optional(),
  /** Where they are not Google's own: Private Service Connect. */
  stsUrl: z.url().max(1_000).default('https://sts.googleapis.com'),
  iamUrl: z.url().max(1_000).default('https://iamcredentials.googleapis.com'),
  /** Where those are not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
});
export type GoogleCloudSource = z.infer<typeof googleCloudSource>;

const googleCloudScope = z.strictObject({ scopes: scopes.optional(), buckets: buckets.optional() });
export type GoogleCloudScope = z.infer<typeof googleCloudScope>;

export const googleCloudKind: CredentialKind<GoogleCloudSource, GoogleCloudScope> = {
  from: googleCloudSource,
  scope: googleCloudScope,
  parts: () => ['token'],
  narrow(from, { scopes = from.scopes, buckets = from.buckets }) {
    const foreign = scopes.find((each) => !from.scopes.includes(each));
    const beyond = buckets && from.buckets && beyondBuckets(buckets, from.buckets);
    if (foreign === undefined && beyond === undefined) return { scope: { scopes, ...(buckets && { buckets }) } };
    return { problem: `This provider issues no ${foreign ?? beyond}. Ask for less, or have it added to the provider.` };
  },
  meet(a, b) {
    const scopes = a.scopes && b.scopes ? meetOf(a.scopes, b.scopes) : (a.scopes ?? b.scopes);
    if (scopes?.length === 0) return nothingLeft('scope');
    const buckets = a.buckets && b.buckets ? bucketsInBoth(a.buckets, b.buckets) : (a.buckets ?? b.buckets);
    if (buckets?.length === 0) return nothingLeft('bucket with a role');
    if (buckets && buckets.length > 10)
      return { problem: 'What they have in common are more than 10 rules of buckets, which Google does not take.' };
    return { scope: { ...(scopes && { scopes }), ...(buckets && { buckets }) } };
  },
};

function beyondBuckets(asked: readonly BucketRule[], allowed: readonly BucketRule[]): string | undefined {
  for (const { bucket, roles, prefix } of asked)
    for (const role of roles)
      if (
        !allowed.some((each) => each.bucket === bucket && each.roles.includes(role) && prefix.startsWith(each.prefix))
      )
        return `${role} on ${bucket}/${prefix}`;
  return undefined;
}

const bucketsInBoth = (a: readonly BucketRule[], b: readonly BucketRule[]): BucketRule[] =>
  a.flatMap((one) =>
    b.flatMap((other): BucketRule[] => {
      const roles = meetOf(one.roles, other.roles);
      const [short, long] = [one.prefix, other.prefix].sort((x, y) => x.length - y.length) as [string, string];
      return one.bucket === other.bucket && roles.length > 0 && long.startsWith(short)
        ? [{ bucket: one.bucket, roles, prefix: long }]
        : [];
    }),
  );
