import type { OffboardResult } from '@gatehouse/protocol';
import type { Approvals } from '../approvals/index.ts';
import { type Delegations, type People, revokeJoinTokensOf } from '../identity/index.ts';
import { GatehouseError } from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Storage } from '../storage/index.ts';

export interface OffboardDependencies {
  storage: Storage;
  registry: Registry;
  people: Pick<People, 'forget'>;
  delegations: Pick<Delegations, 'revokeAll'>;
  approvals: Pick<Approvals, 'cancelAll'>;
  recordChange: RecordChange;
}

export interface Offboarding {
  by: string;
  successor?: string;
  /** False where nobody said: of a key on the leaver's machine nobody knows where else it is. */
  keepKeys?: boolean;
  reason?: string;
}

/**
 * Somebody leaves: one transaction ends their sessions, passkeys and links to identity providers, revokes what they delegated, and
 * hands each of their agents to the successor, or suspends it; without its keys and what was asked with them, and in any case without
 * open join tokens. Where keys are kept, what only they could approve is the successor's to decide. Resolves when every replica has heard:
 * nothing that they hold mints from then on. Done twice, it does what is left to do.
 */
export async function offboard(deps: OffboardDependencies, email: string, how: Offboarding): Promise<OffboardResult> {
  const result = await leave(deps, email, how, async () => true);
  if (!result) throw new Error('who is offboarded leaves');
  return result;
}

/** Null: it is not wanted any more, as the transaction sees it. */
async function leave(
  deps: OffboardDependencies,
  email: string,
  { by, successor: wanted, keepKeys: wantsKeys, reason }: Offboarding,
  isWanted: (transaction: DatabaseTransaction) => Promise<boolean>,
): Promise<OffboardResult | null> {
  const { storage, registry, people } = deps;
  const { people: present, directory, trustRules } = registry.snapshot();
  if (wanted !== undefined && (wanted === email || !present.has(wanted)))
    throw new GatehouseError(
      'bad-request',
      'offboard.successor',
      `${wanted} can't take the agents over: name somebody else who is here.`,
    );
  // Who may have somebody leave may not give themselves what that one could do: it takes another person to name them.
  if (wanted !== undefined && by === `person:${wanted}`)
    throw new GatehouseError(
      'forbidden',
      'offboard.successor-oneself',
      'Nobody makes themselves the successor. Name another person, or have somebody else offboard them and name you.',
    );
  const successor = [wanted, directory.get(email)?.departed?.successor, directory.get(email)?.successor].find(
    (one): one is string => typeof one === 'string' && one !== email && present.has(one),
  );
  // Who settles what another began does as that one said.
  const keepKeys = wantsKeys ?? directory.get(email)?.departed?.keepKeys ?? false;
  const result = await storage.transaction(async (transaction): Promise<OffboardResult | null> => {
    if (!(await isWanted(transaction))) return null;
    const revokedDelegations = await deps.delegations.revokeAll(transaction, email, by);
    await registry.departPerson(transaction, email, {
      by,
      successor: successor ?? null,
      keepKeys,
      ...(reason !== undefined && { reason }),
    });
    const { sessions, passkeys } = await people.forget(transaction, email, by);
    const revokedJoinTokens = await revokeJoinTokensOf(deps, transaction, { owner: email }, by);
    const agents = await transaction
      .selectFrom('agents')
      .select(['name', 'state'])
      .where('owner', '=', email)
      .where('state', '!=', 'retired')
      .orderBy('name')
      .execute();
    const handedOver: string[] = [];
    const suspended: string[] = [];
    let droppedKeys = 0;
    let cancelledApprovals = 0;
    for (const { name, state } of agents) {
      // Whoever holds a copy may have asked.
      if (!keepKeys) cancelledApprovals += await deps.approvals.cancelAll(transaction, { agent: name }, by);
      if (successor !== undefined) {
        droppedKeys += await registry.handOverAgent(transaction, name, { owner: successor, keepKeys, by });
        handedOver.push(name);
        continue;
      }
      if (state !== 'suspended') {
        await registry.setAgentState(name, 'suspended', by, { within: transaction });
        suspended.push(name);
      }
      if (!keepKeys) droppedKeys += await registry.dropAgentKeys(transaction, name, by);
    }
    return {
      person: email,
      successor: successor ?? null,
      endedSessions: sessions,
      removedPasskeys: passkeys,
      handedOver,
      suspended,
      revokedDelegations,
      revokedJoinTokens,
      keepKeys,
      droppedKeys,
      cancelledApprovals,
      trustRules: [...trustRules.values()]
        .filter(({ agent }) => agent !== undefined && handedOver.includes(agent))
        .map(({ name }) => name)
        .sort(),
    };
  });
  if (!result) return null;
  await registry.refresh([]);
  await storage.feed.waitForAll(await storage.feed.head());
  return result;
}

/** People who are gone in one way or another (a manifest no longer names them, a departure was cut off), so that what hangs on them goes, too. */
export type Departures = ReturnType<typeof createDepartures>;

export function createDepartures(
  deps: OffboardDependencies & {
    people: Pick<People, 'footing'>;
    delegations: Pick<Delegations, 'givers'>;
    onFailure(error: unknown, email: string): void;
  },
): {
  /** For the feed's listener. */
  look(emails: Iterable<string>): void;
  /** For the start: everybody with something left here. */
  lookAtAll(): Promise<void>;
  /** Called by a timer: one transaction each; what fails is tried again. */
  settle(): Promise<number>;
} {
  const waiting = new Set<string>();
  const look = (emails: Iterable<string>) => {
    const { people } = deps.registry.snapshot();
    for (const email of emails) if (!people.has(email)) waiting.add(email);
  };
  return {
    look,
    async lookAtAll() {
      const owners = [...deps.registry.snapshot().agents.values()]
        .filter(({ state }) => state === 'active' || state === 'draft')
        .map(({ manifest }) => manifest.owner);
      look([...owners, ...(await deps.people.footing()).keys(), ...(await deps.delegations.givers())]);
    },
    async settle() {
      let settled = 0;
      for (const email of [...waiting]) {
        try {
          // They may be back by now, which the snapshot need not show yet.
          await leave(deps, email, { by: 'gatehouse' }, async (transaction) => {
            return !(await deps.registry.isHere(transaction, email));
          });
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
