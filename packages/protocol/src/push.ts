import { z } from 'zod';
import type { ChannelTest } from './channels.ts';

const point = /^B[A-Za-z0-9_-]{86}$/;

/** What a browser gives when it subscribes (`PushSubscription.toJSON`), and whether it is told after its person has signed out as well. */
export const newPushSubscription = z.strictObject({
  endpoint: z.url({ protocol: /^https$/ }).max(1_000),
  keys: z.strictObject({
    /** The browser's public key: an uncompressed point of P-256, base64url. */
    p256dh: z.string().regex(point),
    /** 16 bytes, base64url. */
    auth: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  }),
  stays: z.boolean().default(false),
});
export type NewPushSubscription = z.output<typeof newPushSubscription>;

/** A browser that tells its person what waits for them. */
export interface PushSubscriptionView {
  id: string;
  /** Host of its push service. */
  service: string;
  userAgent: string;
  /** SHA-256 of its address, by which a browser knows itself. */
  endpointDigest: string;
  /** Signing out leaves it on. */
  stays: boolean;
  createdAt: number;
  /** When the console was last opened in it. */
  seenAt: number;
  sentAt: number | null;
}

export interface PushApi {
  /** `publicKey` is the application server key (RFC 8292); null, and no channels, where no channel of type `push` is declared. */
  'GET /push': { publicKey: string | null; channels: string[] };
  'GET /push/subscriptions': { items: PushSubscriptionView[] };
  'POST /push/subscriptions': PushSubscriptionView;
  'DELETE /push/subscriptions/:id': { ok: true };
  'POST /push/subscriptions/:id/test': ChannelTest;
}
