import { z } from 'zod';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';

const id = z.string().regex(/^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/, 'is an id, as Azure shows it');
const resources = z
  .array(
    z
      .string()
      .max(300)
      .regex(/^(?:https|api):\/\/[A-Za-z0-9._~/-]+$/, 'is a resource: https://storage.azure.com'),
  )
  .min(1)
  .max(20);

export const azureSource = z.strictObject({
  type: z.literal('azure'),
  tenant: id,
  /** Of the application, or the managed identity, that has Gatehouse's issuer among its federated credentials. */
  client: id,
  /** What tokens are for at most; each is for one. What the application may do there, its roles say. */
  resources,
  /** As the federated credential has it. */
  audience: z.string().min(1).max(255).default('api://AzureADTokenExchange'),
  /** Of Microsoft Entra: another one in national clouds. */
  authority: z.url().max(1_000).default('https://login.microsoftonline.com'),
  /** Where that is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
});
export type AzureSource = z.infer<typeof azureSource>;

/** A token is for one resource: the first that is asked for. */
const azureScope = z.strictObject({ resources: resources.optional() });
export type AzureScope = z.infer<typeof azureScope>;

export const azureKind: CredentialKind<AzureSource, AzureScope> = {
  from: azureSource,
  scope: azureScope,
  parts: () => ['token'],
  narrow(from, { resources = from.resources }) {
    const foreign = resources.find((each) => !from.resources.includes(each));
    if (foreign === undefined) return { scope: { resources } };
    return { problem: `This provider issues no token for ${foreign}. Ask for less, or have it added to the provider.` };
  },
  meet({ resources: a }, { resources: b }) {
    const resources = a && b ? meetOf(a, b) : (a ?? b);
    if (resources?.length === 0) return nothingLeft('resource');
    return { scope: { ...(resources && { resources }) } };
  },
};
