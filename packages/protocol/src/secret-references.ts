import type { z } from 'zod';
import { type Manifest, manifest as manifestSchema } from './manifests/index.ts';
import { ownSecretName, secretName } from './names.ts';
import { originOf } from './upstream-authorization.ts';

/** A stored secret that a manifest names. */
export interface SecretReference {
  secret: string;
  /** `from.secret` */
  path: string;
  /** Origins that it is sent to, as far as the manifest says; `own`: it is set for Gatehouse's own address; null: the manifest does not say. */
  destinations: string[] | 'own' | null;
}

/** All that a manifest names. Found by its schema: what is added there is found here. */
export function secretsNamedIn(manifest: Manifest): SecretReference[] {
  const schema = manifestSchema.options.find((option) => option.shape.kind.value === manifest.kind);
  const found: SecretReference[] = [];
  if (schema) search(schema, manifest, [], [], manifest.kind === 'ToolServer', found);
  // Whether `parts` name stored secrets, where they are kept says, and no schema of theirs.
  if (manifest.kind === 'CredentialProvider' && manifest.from.type === 'static' && manifest.from.in.type === 'store')
    for (const [part, named] of Object.entries(manifest.from.parts))
      found.push({
        secret: named.split('#')[0] as string,
        path: `from.parts.${part}`,
        destinations: [...manifest.from.for],
      });
  return found;
}

type Schema = z.core.$ZodType;
type Members = Record<string, unknown>;

function search(
  schema: Schema,
  value: unknown,
  path: readonly (string | number)[],
  around: readonly Members[],
  onlyBeside: boolean,
  found: SecretReference[],
): void {
  if (value === undefined || value === null) return;
  const into = (inner: Schema, member: unknown, key: string | number, of: readonly Members[] = around) =>
    search(inner, member, [...path, key], of, onlyBeside, found);
  const same = (inner: Schema) => search(inner, value, path, around, onlyBeside, found);
  if ((schema === secretName || schema === ownSecretName) && typeof value === 'string') {
    const destinations = schema === ownSecretName ? 'own' : destinationOf(onlyBeside ? around.slice(0, 1) : around);
    found.push({ secret: value, path: path.join('.'), destinations });
    return;
  }
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      for (const [key, inner] of Object.entries(def.shape))
        into(inner as Schema, (value as Members)[key], key, [value as Members, ...around]);
      return;
    case 'array':
      for (const [at, each] of (value as unknown[]).entries()) into(def.element, each, at);
      return;
    case 'record':
      for (const [key, each] of Object.entries(value as Members)) into(def.valueType, each, key);
      return;
    case 'union': {
      const fits = def.options.find((option) => (option as z.ZodType).safeParse(value).success);
      if (fits) same(fits);
      return;
    }
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'readonly':
      same(def.innerType);
      return;
    case 'pipe':
      same(def.in);
  }
}

/** What stands beside it, or nearest around it. */
function destinationOf(around: readonly Members[]): string[] | null {
  for (const { url, origin, api, loginUrl, issuer, host, endpoints } of around) {
    const token = (endpoints as Members | undefined)?.token;
    const address = [origin, loginUrl, api, url, issuer, token].find((each) => typeof each === 'string') as
      | string
      | undefined;
    // Of a collector that is no web address it is set for `https://` and its host.
    if (address !== undefined) return [originOf(address.replace(/^(tls|tcp):/, 'https:'))];
    if (typeof host === 'string') return [`https://${host}`];
  }
  return null;
}
