import type { Manifest, ObservedView, ReplayResult } from '@gatehouse/protocol';
import type { Registry } from '../../registry/index.ts';
import { type ApplyDependencies, rehearseWorkspace } from '../apply-workspace.ts';
import { decidingParts } from './decider.ts';
import type { ReplayRange } from './replay.ts';
import type { Progress, ReplayThreads } from './thread.ts';

/** What is to be tried: nothing, where there are no manifests. */
export interface Tried {
  manifests: Manifest[];
  prune?: boolean;
  remove?: readonly string[];
}

export interface Rehearsals {
  /** Decides what is recorded again, on the workspace of now and with the change. */
  replay(
    tried: Tried,
    range: ReplayRange,
    how: { describe: ApplyDependencies['describe']; onProgress: Progress; signal: AbortSignal },
  ): Promise<ReplayResult>;
  observed(range: ReplayRange, signal: AbortSignal): Promise<ObservedView>;
}

export function createRehearsals({
  registry,
  threads,
  observing,
}: {
  registry: Registry;
  threads: ReplayThreads;
  /** Ids of the policies in observe mode now. */
  observing(): readonly string[];
}): Rehearsals {
  return {
    async replay({ manifests, prune = false, remove = [] }, range, { describe, onProgress, signal }) {
      const before = decidingParts(registry.snapshot());
      if (manifests.length === 0 && remove.length === 0)
        return threads.run({ kind: 'replay', before, after: null, range }, onProgress, signal);
      const { steps, snapshot } = await rehearseWorkspace({ registry, describe }, manifests, { prune, remove });
      const moved = steps.flatMap(({ change }) => (change.kind === 'Agent' ? [change.name] : []));
      const agents = new Map(
        moved.flatMap((name) => {
          const agent = snapshot.agents.get(name);
          return agent ? [[name, agent] as const] : [];
        }),
      );
      const after = decidingParts(snapshot, agents);
      return threads.run({ kind: 'replay', before, after, range }, onProgress, signal);
    },
    async observed(range, signal) {
      const { decisions, items } = await threads.observed({ kind: 'observed', range }, signal);
      const now = new Set(observing());
      return {
        since: range.since,
        until: range.until,
        decisions,
        items: items.map((item) => ({ ...item, observing: now.has(item.policy) })),
      };
    },
  };
}
