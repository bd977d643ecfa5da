import type { KeptElsewhere, SecretView } from '@gatehouse/protocol';
import { useOfPart, useOfSecret } from '../../credentials/index.ts';
import type { ApiDependencies } from '../dependencies.ts';

const DAY_MS = 86_400_000;

const dueAfter = (changedAt: number | null, rotateDays: number | null) =>
  changedAt === null || rotateDays === null ? null : changedAt + rotateDays * DAY_MS;

/** Long-lived secrets: those of the store, and those that somebody else keeps for a provider of the kind `static`. Asks nobody who keeps them. */
export async function secretViews(
  {
    registry,
    secrets,
    secretUses,
    credentials,
  }: Pick<ApiDependencies, 'registry' | 'secrets' | 'secretUses' | 'credentials'>,
  usersOf: (secret: string) => string[],
): Promise<{ items: SecretView[]; elsewhere: KeptElsewhere[] }> {
  const uses = await secretUses.all();
  const items = (await secrets.list()).map((secret) => ({
    ...secret,
    rotationDueAt: dueAfter(secret.updatedAt, secret.rotateDays),
    lastUsedAt: uses.get(useOfSecret(secret.name))?.lastUsedAt ?? null,
    usedBy: usersOf(secret.name),
    canRotate: credentials.canRotate(secret, usersOf(secret.name)),
  }));
  const elsewhere = [...registry.snapshot().credentialProviders.values()].flatMap(({ name, from }): KeptElsewhere[] => {
    if (from.type !== 'static' || from.in.type === 'store') return [];
    const { owner = null, rotateDays = null } = from;
    return Object.entries(from.parts).map(([part, named]) => {
      const { changedAt = null, lastUsedAt = null } = uses.get(useOfPart(name, part)) ?? {};
      return {
        ...{ provider: name, part, kept: from.in.type, named, origins: from.for, owner, rotateDays, changedAt },
        ...{ rotationDueAt: dueAfter(changedAt, rotateDays), lastUsedAt },
      };
    });
  });
  return { items, elsewhere };
}

/** Names of those of which a new one is due. */
export async function secretsDue(
  deps: Pick<ApiDependencies, 'registry' | 'secrets' | 'secretUses' | 'credentials' | 'clock'>,
): Promise<string[]> {
  const { items, elsewhere } = await secretViews(deps, () => []);
  const isDue = ({ rotationDueAt }: { rotationDueAt: number | null }) =>
    rotationDueAt !== null && rotationDueAt <= deps.clock.now();
  return [
    ...items.filter(isDue).map(({ name }) => name),
    ...elsewhere.filter(isDue).map(({ provider, part }) => `${provider}/${part}`),
  ];
}
