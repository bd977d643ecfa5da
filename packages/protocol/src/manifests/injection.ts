import { z } from 'zod';
import { name } from '../names.ts';
import { askedScope } from './credential-providers/index.ts';

const credentialed = {
  /** Name of a CredentialProvider, which issues one for each task, when the task first needs it. */
  provider: name,
  /** What of it: in the words of the provider's kind. Without it, all that the provider may issue. */
  scope: askedScope.default({}),
};
/** Where a part of the credential goes: `{username}`, `{password}`. */
const injected = z.string().min(1).max(1_000);
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/);
const awsName = z.string().regex(/^[a-z0-9-]{1,63}$/);

/**
 * Arguments of its tools that only Gatehouse fills, by name: where a tool declares one, agents neither see it nor may give it, and no record has it.
 */
const filled = z.record(z.string().min(1).max(100), injected).optional();

export const stdioCredential = z.strictObject({
  ...credentialed,
  env: z.record(variable, injected).optional(),
  /** Files in the working directory of the process, readable for it alone and gone with it; the variable of this name has the path. */
  files: z.record(variable, injected).optional(),
  arguments: filled,
});

export const httpCredential = z.strictObject({
  ...credentialed,
  headers: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,99}$/), injected).optional(),
  /** Parameters added to the query of `url`. Servers and proxies write addresses into their logs: take a header where there is a choice. */
  query: z.record(z.string().min(1).max(100), injected).optional(),
  arguments: filled,
  /** What the connection shows of itself (mutual TLS), in PEM. `ca`: of the server, where it is not one that everybody trusts. */
  clientCertificate: z
    .strictObject({
      certificate: injected.default('{certificate}'),
      key: injected.default('{key}'),
      ca: z.string().max(100_000).optional(),
    })
    .optional(),
  /** Each request is signed (AWS Signature Version 4) for this service and region. */
  awsSignature: z
    .strictObject({
      service: awsName,
      region: awsName,
      accessKeyId: injected.default('{accessKeyId}'),
      secretAccessKey: injected.default('{secretAccessKey}'),
      sessionToken: injected.optional(),
    })
    .optional(),
  /** True: one for each call, ended when the call is answered. */
  perCall: z.boolean().optional(),
});

/** Ways in which a credential reaches a tool server. */
export const injectionPlaces = [
  'env',
  'files',
  'headers',
  'query',
  'arguments',
  'clientCertificate',
  'awsSignature',
] as const;
export type InjectionPlace = (typeof injectionPlaces)[number];

/** What is filled with parts of the credential, by place and by name there. */
export function injectedIn(
  credential: z.infer<typeof stdioCredential> | z.infer<typeof httpCredential>,
): [InjectionPlace, Record<string, string>][] {
  return injectionPlaces.flatMap((place): [InjectionPlace, Record<string, string>][] => {
    const at = (credential as Partial<Record<InjectionPlace, Record<string, string | undefined>>>)[place];
    if (!at) return [];
    const values = Object.entries(at).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const isFilled = ([name]: [string, string]) => !settings[place]?.includes(name);
    return [[place, Object.fromEntries(values.filter(isFilled))]];
  });
}

/** What stands beside what is filled. */
const settings: Partial<Record<InjectionPlace, readonly string[]>> = {
  clientCertificate: ['ca'],
  awsSignature: ['service', 'region'],
};
