import type { EvidenceFramework } from '@gatehouse/protocol';

/** One control of a framework: what it is about in our words, and which checks speak to it. */
export type Control = { id: string; title: string } & (
  | { checks: readonly string[]; remark?: string }
  /** Why Gatehouse has nothing to show. */
  | { notCovered: string }
);

export interface Framework {
  id: EvidenceFramework;
  title: string;
  controls: readonly Control[];
}
