import { z } from 'zod';
import type { SinkManifest } from './manifests/sink.ts';

/** Receivers of the record, and how far each has come. Times are milliseconds since the epoch. */
export interface SinkView {
  name: string;
  description: string | null;
  format: SinkManifest['format'];
  type: SinkManifest['to']['type'];
  /** Where it is, without anything secret. */
  destination: string;
  /** `failing`: it is tried again by itself. `behind`: it works, and its oldest record is older than `warnAfterSeconds`. */
  state: 'delivering' | 'behind' | 'failing' | 'paused';
  /** Records that are not settled yet, filtered ones included. */
  backlog: number;
  /** Age of the oldest of them; 0 where there is none. */
  lagSeconds: number;
  /** Records that it refused for good and that were set aside. */
  quarantined: number;
  /** Records that retention removed before they were sent, filtered ones included. */
  missed: number;
  /** The replica that delivers now. */
  replica: string | null;
  lastDeliveredAt: number | null;
  /** Why it fails; null while it does not. */
  problem: string | null;
  failingSince: number | null;
  nextTryAt: number | null;
}

export interface SinkDetail extends SinkView {
  manifest: SinkManifest;
  paused: { at: number; by: string } | null;
  /** What was recorded before goes by its age without having been sent there, as somebody has said. */
  letGoAt: number | null;
  /** The next record of each log. */
  positions: { log: string; sequence: number; size: number }[];
  /** The newest 100. */
  quarantine: { log: string; sequence: number; reason: string; at: number }[];
}

export interface SinkTest {
  ok: boolean;
  /** What the receiver said, or why it could not be reached; null when it took the event. */
  problem: string | null;
  tookMs: number;
  /** Of the event that was sent: what to look for there. */
  id: string;
}

export const sinkBodies = {
  /** A time (RFC 3339), or a place in one log. */
  replay: z.union([
    z.strictObject({ time: z.iso.datetime({ offset: true }) }),
    z.strictObject({ log: z.string().max(300), sequence: z.int().min(0) }),
  ]),
} as const;

export interface SinkApi {
  'GET /sinks': { items: SinkView[] };
  'GET /sinks/:name': SinkDetail;
  'POST /sinks/:name/test': SinkTest;
  'POST /sinks/:name/pause': SinkDetail;
  'POST /sinks/:name/resume': SinkDetail;
  'POST /sinks/:name/let-go': SinkDetail;
  'POST /sinks/:name/replay': SinkDetail;
}
