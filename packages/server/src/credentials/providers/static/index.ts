import type { ProviderAbilities, StaticScope, StaticSource } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, parseStrictJson, Secret } from '../../../platform/index.ts';
import type { Made, Order, Provider } from '../../leases/types.ts';
import { useOfPart } from '../../secret-uses.ts';
import type { ProviderTools } from '../index.ts';
import { fromEnvironment, fromFiles, fromStore } from './local.ts';
import {
  fromAwsSecretsManager,
  fromAzureKeyVault,
  fromConjur,
  fromGoogleSecretManager,
  fromOnePassword,
} from './remote.ts';
import type { SecretSource, Whose } from './source.ts';

/** It is what it is, for everybody who has it, until somebody makes another. */
const ABILITIES: ProviderAbilities = {
  canNarrow: false,
  canRevoke: false,
  canEndSessions: false,
  maxResidualSeconds: null,
  isStored: true,
};
/** A shorter one stands in texts by chance and could not be taken out of what a server says. */
const LEAST_CHARACTERS = 8;
const CHECK_MS = 60_000;

/**
 * Long-lived secrets, for what knows nothing better: read when a task first needs them, sent by the gate alone, and used by nobody once its lease
 * is over. Nothing ends the secret itself.
 */
export function openStaticProvider(
  provider: string,
  settings: StaticSource,
  tools: ProviderTools & { environmentName: string },
): Provider {
  const source = sourceOf(settings, tools);

  async function read(
    part: string,
    whose: Whose,
    signal: AbortSignal,
  ): Promise<{ value: Secret; changedAt: number | null }> {
    const [, name = '', member] = /^(.*?)(?:#([^#]+))?$/s.exec(settings.parts[part] as string) ?? [];
    const { value, changedAt } = await source.read(name, whose, signal);
    const found = member === undefined ? value : memberOf(value, name, member);
    if (found.reveal().length >= LEAST_CHARACTERS) return { value: found, changedAt };
    throw new GatehouseError(
      'conflict',
      'secret.short',
      `"${settings.parts[part]}" has fewer than ${LEAST_CHARACTERS} characters: it could not be kept out of answers and records. Make a longer one.`,
    );
  }

  return {
    abilities: ABILITIES,
    findsByName: true,

    async create({ scope, ...whose }: Order, signal): Promise<Made> {
      const { parts = [] } = scope as StaticScope;
      const found = await Promise.all(parts.map(async (part) => [part, await read(part, whose, signal)] as const));
      for (const [part, { changedAt }] of found) tools.noteUse(useOfPart(provider, part), changedAt);
      return { credential: Object.fromEntries(found.map(([part, { value }]) => [part, value])), revocation: {} };
    },

    // The lease alone ends: no credential was made.
    revoke: async () => undefined,

    async check(signal) {
      const nobody = { lease: 'check', name: 'check', environment: tools.environmentName, agent: '', task: '' };
      const whose = { ...nobody, expiresAt: tools.clock.now() + CHECK_MS };
      for (const part of Object.keys(settings.parts)) await read(part, whose, signal);
    },

    close: async () => undefined,
  };
}

function sourceOf(settings: StaticSource, tools: ProviderTools & { environmentName: string }): SecretSource {
  switch (settings.in.type) {
    case 'store':
      return fromStore(settings, tools);
    case 'files':
      return fromFiles(tools);
    case 'environment':
      return fromEnvironment(tools);
    case '1password-connect':
      return fromOnePassword(settings.in, tools);
    case 'conjur':
      return fromConjur(settings.in, tools);
    case 'aws-secrets-manager':
      return fromAwsSecretsManager(settings.in, tools);
    case 'gcp-secret-manager':
      return fromGoogleSecretManager(settings.in, tools, tools.environmentName);
    case 'azure-key-vault':
      return fromAzureKeyVault(settings.in, tools, tools.environmentName);
  }
}

function memberOf(value: Secret, name: string, member: string): Secret {
  let parsed: unknown;
  try {
    parsed = parseStrictJson(Buffer.from(value.reveal()));
  } catch {
    // What cannot be parsed is not said: it is a secret.
  }
  const found = isJsonObject(parsed as never) ? (parsed as Record<string, unknown>)[member] : undefined;
  if (typeof found === 'string') return new Secret(found);
  throw new GatehouseError('conflict', 'secret.member', `"${name}" is no JSON object with a text "${member}".`);
}
