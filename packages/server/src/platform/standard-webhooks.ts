import { createHmac } from 'node:crypto';
import { GatehouseError } from './errors.ts';
import { constantTimeEqual, type Secret } from './secret.ts';

/**
 * Standard Webhooks 1.0, symmetric signatures (`v1`): HMAC-SHA256 over `id.timestamp.body`. The secret is base64 behind `whsec_`. Nothing here
 * remembers ids: who takes each message once keeps them for at least `2 × TOLERANCE_SECONDS`.
 */
export interface WebhookHeaders {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

export const TOLERANCE_SECONDS = 300;
const PREFIX = 'whsec_';
/** The specification asks for 24 to 64 bytes. */
const KEY_BYTES = [24, 64] as const;
const MAX_SIGNATURES = 16;

export function signWebhook(secret: Secret, message: { id: string; at: number; body: string }): WebhookHeaders {
  const timestamp = String(Math.floor(message.at / 1_000));
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signatureOf(secret, message.id, timestamp, message.body)}`,
  };
}

/** Throws `webhook.*` unless it was signed with the secret, now. */
export function verifyWebhook(
  secret: Secret,
  headers: { [Name in keyof WebhookHeaders]?: string | undefined },
  body: string,
  now: number,
): { id: string } {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (!id || !timestamp || !signatures || id.length > 200 || !/^\d{1,12}$/.test(timestamp))
    throw refused(
      'headers',
      'The headers webhook-id, webhook-timestamp and webhook-signature of Standard Webhooks are needed.',
    );
  if (Math.abs(now / 1_000 - Number(timestamp)) > TOLERANCE_SECONDS)
    throw refused('timestamp', `The message was signed more than ${TOLERANCE_SECONDS} s away from the time here.`);
  const expected = signatureOf(secret, id, timestamp, body);
  const given = signatures
    .split(' ', MAX_SIGNATURES)
    .flatMap((each) => (each.startsWith('v1,') ? [each.slice(3)] : []));
  // All are compared: which of them fits tells nothing by its time.
  const fits = given.map((each) => constantTimeEqual(each, expected));
  if (!fits.includes(true)) throw refused('signature', 'The signature does not fit the message.');
  return { id };
}

function signatureOf(secret: Secret, id: string, timestamp: string, body: string): string {
  const text = secret.reveal();
  const key = Buffer.from(text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text, 'base64');
  if (key.byteLength < KEY_BYTES[0] || key.byteLength > KEY_BYTES[1])
    throw new GatehouseError(
      'conflict',
      'webhook.secret',
      `A secret of Standard Webhooks is whsec_ and ${KEY_BYTES[0]} to ${KEY_BYTES[1]} bytes in base64. Set it again.`,
    );
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

const refused = (code: string, detail: string) => new GatehouseError('unauthenticated', `webhook.${code}`, detail);
