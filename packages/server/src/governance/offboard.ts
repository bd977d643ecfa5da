import type { OffboardResult } from '@gatehouse/protocol';
import type { People } from '../identity/index.ts';
import { GatehouseError } from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { DatabaseTransaction, Storage } from '../storage/index.ts';

export interface OffboardDependencies {
  storage: Storage;
  registry: Registry;
  people: Pick<People, 'forget'>;
  /** What else of a person's ends with them; each says how much it ended. */
  revokeDelegations?(transaction: DatabaseTransaction, person: string, by: string): Promise<number>;
}

export interface Offboarding {
  by: string;
  successor?: string;
  reason?: string;
}

/**
 * Somebody leaves: one transaction ends their sessions, passkeys and links to identity providers, revokes what they delegated, and
 * hands each of their agents to the successor, or suspends it. What only they could approve is then the successor's to decide, or
 * is cancelled with its agent. Resolves when every replica has heard: none of their agents mints from then on. Done twice, it does
 * what is left to do.
 */
export async function offboard(
  deps: OffboardDependencies,
  email: string,
  { by, successor: wanted, reason }: Offboarding,
): Promise<OffboardResult> {
  const { storage, registry, people } = deps;
  const { people: present, directory } = registry.snapshot();
  if (wanted !== undefined && (wanted === email || !present.has(wanted)))
    throw new GatehouseError(
      'bad-request',
      'offboard.successor',
      `${wanted} can't take the agents over: name somebody else who is here.`,
    );
  const successor = [wanted, directory.get(email)?.departed?.successor, directory.get(email)?.successor].find(
    (one): one is string => typeof one === 'string' && one !== email && present.has(one),
  );
  const result = await storage.transaction(async (transaction): Promise<OffboardResult> => {
    await registry.departPerson(transaction, email, {
      by,
      successor: successor ?? null,
      ...(reason !== undefined && { reason }),
    });
    const { sessions, passkeys } = await people.forget(transaction, email, by);
    const revokedDelegations = (await deps.revokeDelegations?.(transaction, email, by)) ?? 0;
    const agents = await transaction
      .selectFrom('agents')
      .select(['name', 'state'])
      .where('owner', '=', email)
      .where('state', '!=', 'retired')
      .orderBy('name')
      .execute();
    const handedOver: string[] = [];
    const suspended: string[] = [];
    for (const { name, state } of agents) {
      if (successor !== undefined) {
        await registry.handOverAgent(transaction, name, successor, by);
        handedOver.push(name);
      } else if (state !== 'suspended') {
        await registry.setAgentState(name, 'suspended', by, { within: transaction });
        suspended.push(name);
      }
    }
    return {
      person: email,
      successor: successor ?? null,
      endedSessions: sessions,
      removedPasskeys: passkeys,
      handedOver,
      suspended,
      revokedDelegations,
    };
  });
  await registry.refresh([]);
  await storage.feed.waitForAll(await storage.feed.head());
  return result;
}

/** People who are gone in one way or another (a manifest no longer names them, a departure was cut off), so that what hangs on them goes, too. */
export function createDepartures(deps: OffboardDependencies & { onFailure(error: unknown, email: string): void }): {
  /** For the feed's listener and the start. */
  look(emails?: Iterable<string>): void;
  /** Called by a timer: one transaction each; what fails is tried again. */
  settle(): Promise<number>;
} {
  const waiting = new Set<string>();
  return {
    look(emails) {
      const { people, agents } = deps.registry.snapshot();
      const candidates =
        emails ??
        [...agents.values()]
          .filter(({ state }) => state === 'active' || state === 'draft')
          .map(({ manifest }) => manifest.owner);
      for (const email of candidates) if (!people.has(email)) waiting.add(email);
    },
    async settle() {
      let settled = 0;
      for (const email of [...waiting]) {
        try {
          // They may be back by now.
          if (!deps.registry.snapshot().people.has(email)) await offboard(deps, email, { by: 'gatehouse' });
          waiting.delete(email);
          settled++;
        } catch (error) {
          deps.onFailure(error, email);
        }
      }
      return settled;
    },
  };
}
