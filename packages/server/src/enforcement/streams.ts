import { GatehouseError, newId } from '../platform/index.ts';
import type { EnforcementDependencies } from './enforce.ts';
import type { Live } from './live.ts';
import type { Look } from './results/index.ts';
import { sourceOfMessage, unlooked } from './source.ts';
import type { Enforcement } from './types.ts';
import { authorityOf, STALE, whoIsRefused, whyStopped } from './who.ts';

/** What stays open beside calls: it ends with its agent or task, and what is heard on it is looked at like a result. */
export function createStreams(
  {
    registry,
    policies,
    detectors,
    flow,
    feed,
    breaker,
    clock,
    log,
  }: Pick<
    EnforcementDependencies,
    'registry' | 'policies' | 'detectors' | 'flow' | 'feed' | 'breaker' | 'clock' | 'log'
  >,
  { live, look }: { live: Pick<Live, 'attach'>; look: Pick<Look, 'rulesOf' | 'message'> },
): Pick<Enforcement, 'attach' | 'hear' | 'whyRefused'> {
  return {
    attach(caller, end) {
      let attached = true;
      const release = live.attach(caller, end);
      const endIfStopped = (reason: string | undefined) => {
        if (attached && reason !== undefined) end(reason);
      };
      // Whoever was let in with a snapshot from before the stop comes too late to be ended by it.
      whyStopped(registry, caller).then(endIfStopped, (error) => {
        log.error('it is not known whether a stream may stay open, so it ends', { error });
        endIfStopped(STALE.reason);
      });
      return () => {
        attached = false;
        release();
      };
    },
    whyRefused(caller) {
      const snapshot = registry.snapshot();
      return feed.fresh()
        ? whoIsRefused(snapshot, { caller }, snapshot.agents.get(caller.agent), clock.now(), breaker)
        : STALE;
    },
    hear(caller, server, message, of) {
      const snapshot = registry.snapshot();
      const known = snapshot.servers.get(server);
      const authority = authorityOf(snapshot, caller);
      if (!known || !authority) throw new GatehouseError('forbidden', STALE.code, STALE.reason);
      const from = sourceOfMessage(snapshot, policies(snapshot), authority, known, of);
      const source = unlooked(from, detectors.of(snapshot, from.tool, caller.task.environment));
      const rules = look.rulesOf(snapshot, caller, source.tool, source.obligations);
      const heard = look.message(message, rules);
      const noted = flow.note(caller, { ...source, actionId: newId('act', clock.now()), body: heard });
      return noted instanceof Promise ? noted.then(() => heard) : heard;
    },
  };
}
