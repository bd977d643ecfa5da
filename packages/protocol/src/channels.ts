import type { Page } from './api.ts';
import type { ChannelManifest, ChannelType } from './manifests/index.ts';

/** A channel with how it does. */
export interface ChannelView {
  name: string;
  type: ChannelType;
  description: string;
  /** Whether a person's answer comes back through it. */
  answers: boolean;
  /** Deliveries that are under way or tried again. */
  waiting: number;
  /** Deliveries that were given up, of those that are still kept. */
  dead: number;
  lastSentAt: number | null;
  lastError: { at: number; error: string } | null;
}

export interface DeliveryView {
  id: string;
  channel: string;
  approval: string;
  /** `asked`: somebody is needed. `closed`: nobody is any more. `break-glass`: one was asked for, signed, opened, ended or reviewed; `approval` is its id. `lease-stuck`, `lease-over`: a credential that could not be ended, or is no longer stuck. */
  event: 'asked' | 'closed' | 'break-glass' | 'lease-stuck' | 'lease-over';
  /** A person's address or a device, where each gets one of their own; empty for the channel as a whole. */
  recipient: string;
  /** `dropped`: there was nothing to tell any more when its turn came. `dead`: given up. */
  state: 'waiting' | 'sent' | 'dropped' | 'dead';
  attempts: number;
  /** When it is tried next. */
  dueAt: number;
  createdAt: number;
  updatedAt: number;
  error: string | null;
}

export interface ChannelTest {
  ok: boolean;
  /** What went wrong. */
  error: string | null;
  tookMs: number;
}

export interface ChannelsApi {
  'GET /channels': { items: ChannelView[] };
  'GET /channels/:name': ChannelView & { manifest: ChannelManifest };
  'GET /channels/:name/deliveries': Page<DeliveryView>;
  'POST /channels/:name/test': ChannelTest;
}
