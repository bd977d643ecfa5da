import type { StoredLease, StoredReader } from '../stored.ts';
import type { LeaseJournal } from './load.ts';
import type { ChaosProvider } from './providers.ts';
import type { LeaseScene } from './scene.ts';

export type LeaseAudit = ReturnType<typeof createLeaseAudit>;

const isOpen = ({ state }: StoredLease) => state !== 'revoked' && state !== 'dropped';
const isLive = ({ state }: StoredLease) => state === 'created' || state === 'active';
const nameOf = ({ id }: StoredLease) => id.replace('lse_', 'gh_');

/** Compares what a provider and tool servers have with what is recorded. */
export function createLeaseAudit(
  stored: StoredReader,
  provider: ChaosProvider,
  { given }: LeaseScene,
  journal: LeaseJournal,
) {
  /** By a call's id: the lease that its dispatch names. */
  const leaseOf = new Map<string, string>();
  const issued = new Set<string>();
  /** Calls whose credential was seen to be refused: it stays so, and is tried no more than once. */
  const refused = new Set<string>();
  const next = new Map<string, number>();
  /** Nobody has changed anything in the database. */
  const alarms: string[] = [];

  async function readOn(): Promise<void> {
    const idOf = new Map<string, string>();
    for (const log of await stored.logs()) {
      const from = next.get(log) ?? 0;
      const records = await stored.records(log, from);
      for (const { action, body } of await stored.arguments(log, from)) {
        const { id } = JSON.parse(body) as { id?: string };
        if (id !== undefined) idOf.set(action, id);
      }
      for (const { kind, action, entry } of records) {
        const id = idOf.get(action);
        const lease = /lse_[0-9a-z]+/.exec(entry)?.[0];
        if (kind === 'dispatch' && id !== undefined && lease) leaseOf.set(id, lease);
        if (lease && entry.includes('lease.issue')) issued.add(lease);
        if (kind === 'change' && entry.includes('"operation":"seal.broken"')) alarms.push(`a false alarm: ${entry}`);
      }
      next.set(log, from + records.length);
    }
  }

  /** Holds at every moment, also when the server has just died. */
  async function always(): Promise<string[]> {
    await readOn();
    const wrong = [...alarms];
    const leases = new Map((await stored.leases()).map((lease) => [lease.id, lease]));
    const open = new Set([...leases.values()].filter(isOpen).map(nameOf));
    for (const orphan of await provider.orphans(open)) wrong.push(`there is no open lease for the ${orphan}`);
    for (const id of given.keys()) {
      const lease = leases.get(leaseOf.get(id) ?? '');
      if (!lease) wrong.push(`${id} was made with a credential, and no dispatch of it names a lease`);
      else if (!issued.has(lease.id)) wrong.push(`${id} was made with ${lease.id}, whose issue is not on record`);
      else if (lease.createdAt === null || lease.activeAt === null)
        wrong.push(`${id} was made with ${lease.id}, which is not recorded as in use`);
    }
    for (const id of journal.revoked) {
      const lease = leases.get(id);
      if (!lease || isLive(lease)) wrong.push(`${id} was revoked, and is ${lease?.state}`);
    }
    for (const [id, expiresAt] of journal.renewed) {
      const lease = leases.get(id);
      if (lease && isLive(lease) && lease.expiresAt < expiresAt) wrong.push(`${id} was renewed, and ends earlier`);
    }
    for (const [id, values] of given) {
      if (refused.has(id) || leases.get(leaseOf.get(id) ?? '')?.state !== 'revoked') continue;
      if (await provider.works(values)) wrong.push(`${id} was made with a credential that has ended, and works`);
      refused.add(id);
    }
    return wrong;
  }

  return {
    always,
    get refused() {
      return refused.size;
    },
    leases: () => stored.leases(),
    /** Once nothing is under way: what is live works, so that the refusals above mean something. */
    async atRest(): Promise<string[]> {
      const wrong = await always();
      const live = new Set((await stored.leases()).filter(isLive).map(({ id }) => id));
      const used = new Map([...given].map(([id, values]) => [leaseOf.get(id) ?? '', values]));
      for (const [lease, values] of used)
        if (live.has(lease) && !(await provider.works(values))) wrong.push(`${lease} is live, and does not work`);
      return wrong;
    },
    /** Once everything is over. */
    async atTheEnd(): Promise<string[]> {
      const wrong = await always();
      for (const what of await provider.standing()) wrong.push(`everything has ended, and ${what} is still there`);
      for (const [id, values] of given)
        if (!refused.has(id) && (await provider.works(values))) wrong.push(`everything has ended, and ${id} works`);
      return wrong;
    },
  };
}
