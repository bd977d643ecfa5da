import type { Approvals, Channels } from '../approvals/index.ts';
import type { Credentials, SecretUses } from '../credentials/index.ts';
import type { Budgets, HeldResults, OpenCalls } from '../enforcement/index.ts';
import type { CompanySignIn, Identity, People } from '../identity/index.ts';
import type { Export, Keeping, Reads, Retention } from '../ledger/index.ts';
import type { Clock, Log } from '../platform/index.ts';
import { type Baseline, baselineLimits, type Flow } from '../policy/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Storage } from '../storage/index.ts';
import { endExpiredTasks } from './expired-tasks.ts';
import type { Departures } from './offboard.ts';

export interface HousekeepingDependencies {
  storage: Storage;
  registry: Registry;
  approvals: Pick<Approvals, 'expire'>;
  channels: Pick<Channels, 'sweep'>;
  credentials: Pick<Credentials, 'reconcile'>;
  secretUses: Pick<SecretUses, 'flush'>;
  departures: Pick<Departures, 'settle'>;
  identity: Pick<Identity, 'sweep' | 'trustDomain' | 'keyInventory'>;
  companySignIn: Pick<CompanySignIn, 'sweep'>;
  people: Pick<People, 'sweep'>;
  held: Pick<HeldResults, 'sweep'>;
  flow: Pick<Flow, 'sweep'>;
  budgets: Pick<Budgets, 'sweep'>;
  openCalls: Pick<OpenCalls, 'sweep'>;
  closeAbandoned(): Promise<number>;
  baseline: Pick<Baseline, 'write' | 'sweep'>;
  sinks: Pick<Export, 'refresh'>;
  reads: Pick<Reads, 'flush'>;
  keeping: Pick<Keeping, 'work'>;
  retention: Pick<Retention, 'work'>;
  clock: Clock;
  log: Log;
}

/** What every replica does again and again: ends what has run out, and removes what nobody needs any more. Returns the way to end that. */
export function keepHouse(deps: HousekeepingDependencies): () => void {
  const {
    approvals,
    channels,
    departures,
    identity,
    companySignIn,
    people,
    held,
    flow,
    budgets,
    baseline,
    sinks,
    clock,
    log,
  } = deps;
  const { openCalls, closeAbandoned } = deps;
  const timers: NodeJS.Timeout[] = [];
  const every = (seconds: number, failed: string, work: () => Promise<unknown>) => {
    const timer = setInterval(() => work().catch((error) => log.error(failed, { error })), seconds * 1_000);
    timers.push(timer.unref());
  };
  every(1, 'sinks could not be begun', async () => sinks.refresh());
  every(1, 'credentials could not be ended', () => deps.credentials.reconcile());
  every(5, 'expired tasks could not be ended', () => endExpiredTasks(deps));
  every(5, 'departures could not be completed', () => departures.settle());
  every(5, 'expired approvals could not be closed', () => approvals.expire());
  every(2, 'what a replica that is gone has left open could not be closed', () => closeAbandoned());
  every(60, 'deliveries that are over could not be removed', () => channels.sweep());
  every(10, 'the trust domain could not be looked after', () => identity.trustDomain.tick());
  every(60, 'sign-ins under way could not be removed', () => companySignIn.sweep());
  every(60, 'held results that have run out could not be removed', () => held.sweep());
  every(60, 'what tasks have seen could not be removed', () => flow.sweep());
  every(60, 'what no budget counts any more could not be removed', () => budgets.sweep());
  every(60, 'what people have said of unknown calls could not be removed', () => openCalls.sweep());
  every(baselineLimits.writeSeconds, 'what agents usually do could not be written', () => baseline.write());
  every(3_600, 'baselines of agents that are gone could not be removed', () => baseline.sweep());
  every(60, 'signing keys could not be looked after', () => identity.keyInventory.rotateDue(clock.now()));
  every(60, 'codes and requests that have run out could not be removed', () => identity.sweep());
  every(60, 'sessions and links that have run out could not be removed', () => people.sweep());
  every(5, 'bodies could not be removed', () => deps.keeping.work());
  every(5, 'records could not be removed', () => deps.retention.work());
  every(60, 'uses of secrets could not be written', () => deps.secretUses.flush());
  every(10, 'looks at the record could not be counted', () => deps.reads.flush());
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}
