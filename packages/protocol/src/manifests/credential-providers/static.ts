import { z } from 'zod';
import { secretName } from '../../names.ts';
import { azureSource } from './azure.ts';
import { destinations } from './destinations.ts';
import { googleCloudSource } from './google-cloud.ts';
import type { CredentialKind } from './kind.ts';
import { isPart, meetOf, nothingLeft } from './meet-of.ts';

const reach = {
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** Of its authority, in PEM, where it is not one that everybody trusts. */
  ca: z.string().max(100_000).optional(),
};

/** Where long-lived secrets are kept. What `parts` name there is said with each. */
const kept = z.discriminatedUnion('type', [
  /** Gatehouse's own, sealed: names of stored secrets, each stored for all of `for`. */
  z.strictObject({ type: z.literal('store') }),
  /** Files in the directory that the server was started with (GATEHOUSE_SECRET_FILES, /run/secrets without it): their paths below it. */
  z.strictObject({ type: z.literal('files') }),
  /** Variables of the server's own environment, which begin with GATEHOUSE_SECRET_: the rest of their names. */
  z.strictObject({ type: z.literal('environment') }),
  /** A 1Password Connect server: `ITEM/FIELD`. `secret` names the stored secret with its token. */
  z.strictObject({
    type: z.literal('1password-connect'),
    ...{
      url: z.url().max(1_000),
      secret: secretName,
      vault: z.string().regex(/^[a-z0-9]{26}$/, 'is the id of a vault'),
    },
    ...reach,
  }),
  /** CyberArk Conjur: ids of variables. `secret` names the stored secret with the API key of `login`. */
  z.strictObject({
    type: z.literal('conjur'),
    ...{ url: z.url().max(1_000), secret: secretName },
    ...{ account: z.string().min(1).max(100), login: z.string().min(1).max(300) },
    ...reach,
  }),
  /** AWS Secrets Manager, with the AWS credentials that the server has: names or ARNs. `url` where it is not AWS's own of the region. */
  z.strictObject({
    type: z.literal('aws-secrets-manager'),
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'is a region: eu-central-1'),
    url: z.url().max(1_000).optional(),
    ...reach,
  }),
  /** Google Secret Manager: names of secrets, of which the newest version is read, by `access`: as in a provider of the kind `google-cloud`. */
  z.strictObject({
    type: z.literal('gcp-secret-manager'),
    project: z.string().regex(/^[a-z0-9-]{1,63}$/),
    access: googleCloudSource,
    url: z.url().max(1_000).default('https://secretmanager.googleapis.com'),
    ...reach,
  }),
  /** Azure Key Vault: names of secrets, read by `access`: as in a provider of the kind `azure`, for the resource https://vault.azure.net. */
  z.strictObject({ type: z.literal('azure-key-vault'), url: z.url().max(1_000), access: azureSource, ...reach }),
]);
export type KeptSecrets = z.infer<typeof kept>;

export const staticSource = z.strictObject({
  type: z.literal('static'),
  in: kept,
  /** Of the credential, by name, each with what has it there; `NAME#MEMBER` is a member of one that is JSON. */
  parts: z
    .record(z.string().regex(/^[a-zA-Z]{1,50}$/), z.string().min(1).max(500))
    .refine((parts) => Object.keys(parts).length >= 1 && Object.keys(parts).length <= 10, 'has 1 to 10 parts'),
  /** The only tool servers that it is sent to. */
  for: destinations,
  /** Days after which a new one is due; `gatehouse status` says when it is over. */
  rotateDays: z.int().min(1).max(3_650).optional(),
  /** Who sees to that. */
  owner: z.email().optional(),
});
export type StaticSource = z.infer<typeof staticSource>;

/** Some of the parts; all of them where it says nothing. What each can do there, nobody here can narrow. */
const staticScope = z.strictObject({ parts: z.array(z.string().max(50)).min(1).max(10).optional() });
export type StaticScope = z.infer<typeof staticScope>;

export const staticKind: CredentialKind<StaticSource, StaticScope> = {
  from: staticSource,
  scope: staticScope,
  parts: ({ parts }) => Object.keys(parts),
  destinations: (from) => from.for,
  narrow({ parts: allowed }, { parts = Object.keys(allowed) }) {
    const missing = parts.find((part) => !Object.hasOwn(allowed, part));
    if (missing === undefined) return { scope: { parts: [...new Set(parts)] } };
    return { problem: `This provider has no part "${missing}". It has: ${Object.keys(allowed).join(', ')}.` };
  },
  meet({ parts: a }, { parts: b }) {
    if (!a || !b) return { scope: a || b ? { parts: a ?? b } : {} };
    const parts = meetOf(a, b);
    return parts.length > 0 ? { scope: { parts } } : nothingLeft('part');
  },
  isWithin: (scope, most) => isPart(scope.parts, most.parts),
};
