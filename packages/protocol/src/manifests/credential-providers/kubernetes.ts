import { z } from 'zod';
import { secretName } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { isPart, meetOf, nothingLeft } from './meet-of.ts';

/** `NAMESPACE/NAME`, as Kubernetes takes both. */
const serviceAccounts = z
  .array(
    z
      .string()
      .max(317)
      .regex(
        /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
        'is NAMESPACE/NAME of a service account',
      ),
  )
  .min(1)
  .max(50);
const audiences = z.array(z.string().min(1).max(500)).min(1).max(10);

export const kubernetesSource = z.strictObject({
  type: z.literal('kubernetes'),
  /** Of the API server: `https://HOST:6443`. */
  url: z.url({ protocol: /^https?$/ }).max(1_000),
  /** Name of the stored secret with the token by which Gatehouse asks there, for the address above. */
  secret: secretName,
  /** For whom tokens may be. */
  serviceAccounts,
  /** For whom else tokens may be good than the API server: who verifies them elsewhere does so until they expire. Without it for the API server alone. */
  audiences: audiences.optional(),
  /** Where it is not on the public internet. Link-local addresses never. */
  allowPrivateAddress: z.boolean().default(false),
  /** PEM certificates to trust for it instead of the system's: the cluster's own. */
  ca: z.string().max(100_000).optional(),
});
export type KubernetesSource = z.infer<typeof kubernetesSource>;

/** What of it is asked for. A token is of one service account: the first that may be had. */
const kubernetesScope = z.strictObject({
  serviceAccounts: serviceAccounts.optional(),
  audiences: audiences.optional(),
});
export type KubernetesScope = z.infer<typeof kubernetesScope>;

export const kubernetesKind: CredentialKind<KubernetesSource, KubernetesScope> = {
  from: kubernetesSource,
  scope: kubernetesScope,
  parts: () => ['token'],
  narrow(allowed, { serviceAccounts = allowed.serviceAccounts, audiences = allowed.audiences }) {
    const missing =
      serviceAccounts.find((each) => !allowed.serviceAccounts.includes(each)) ??
      audiences?.find((each) => !allowed.audiences?.includes(each));
    return missing === undefined
      ? { scope: { serviceAccounts, ...(audiences && { audiences }) } }
      : {
          problem: `This provider issues nothing for ${missing}. Ask for less, or have it added to what it may issue.`,
        };
  },
  meet(a, b) {
    const serviceAccounts = meetOf(a.serviceAccounts ?? [], b.serviceAccounts ?? []);
    if (serviceAccounts.length === 0) return nothingLeft('service account');
    const audiences = a.audiences && b.audiences ? meetOf(a.audiences, b.audiences) : (a.audiences ?? b.audiences);
    if (audiences?.length === 0) return nothingLeft('audience');
    return { scope: { serviceAccounts, ...(audiences && { audiences }) } };
  },
  isWithin: (scope, most) =>
    isPart(scope.serviceAccounts, most.serviceAccounts) && isPart(scope.audiences, most.audiences),
};
