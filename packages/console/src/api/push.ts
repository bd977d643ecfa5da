import type { PushSubscriptionView } from '@gatehouse/protocol';
import { call } from './client.ts';

/** What this browser can do about notifications, and whether it does. */
export type PushHere =
  | { state: 'unsupported' | 'install-first' | 'denied' }
  | { state: 'off' }
  /** `digest` names it among the person's browsers. */
  | { state: 'on'; digest: string };

/** Notifications could not be turned on, in words for whoever tried. */
export class PushError extends Error {
  override readonly name = 'PushError';
}

export async function pushHere(): Promise<PushHere> {
  if (!('serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window))
    return { state: isApple() ? 'install-first' : 'unsupported' };
  if (Notification.permission === 'denied') return { state: 'denied' };
  const subscription = await subscriptionHere();
  return subscription ? { state: 'on', digest: await digestOf(subscription.endpoint) } : { state: 'off' };
}

/** Asks for the permission; in some browsers only right after a click. */
export async function turnPushOn(publicKey: string, stays: boolean): Promise<PushSubscriptionView> {
  const permission = await Notification.requestPermission();
  if (permission !== 'granted')
    throw new PushError('The browser was not allowed to show notifications. Allow them for this site, then try again.');
  const { pushManager } = await navigator.serviceWorker.ready;
  // One that was made with another key would stand in the way.
  await (await pushManager.getSubscription())?.unsubscribe();
  const options = { userVisibleOnly: true, applicationServerKey: publicKey };
  const subscription = await pushManager.subscribe(options).catch((cause: unknown) => {
    throw new PushError(
      `The browser could not subscribe at its push service: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  });
  try {
    return await tell(subscription, stays);
  } catch (error) {
    await subscription.unsubscribe();
    throw error;
  }
}

/** In this browser, where it is this one. */
export async function turnPushOff({ id, endpointDigest }: PushSubscriptionView): Promise<void> {
  const subscription = await subscriptionHere();
  await call('DELETE /push/subscriptions/:id', { params: { id } });
  if (subscription && (await digestOf(subscription.endpoint)) === endpointDigest) await subscription.unsubscribe();
}

/** Somebody has opened the console: their browser is still theirs. One that was somebody else's, or was ended meanwhile, is told nothing any more. */
export async function keepPushHere(): Promise<void> {
  const subscription = await subscriptionHere();
  if (!subscription) return;
  const mine = await findHere(subscription);
  if (mine) await tell(subscription, mine.stays);
  else await subscription.unsubscribe();
}

/** Ends the session, and takes out of this browser what was kept in it: files, what is shown, and notifications that were not to stay. */
export async function signOutHere(): Promise<void> {
  const subscription = await subscriptionHere().catch(() => null);
  const stays = subscription !== null && (await findHere(subscription).catch(() => undefined))?.stays === true;
  await call('POST /signout');
  if (subscription && !stays) await subscription.unsubscribe();
  if (!('serviceWorker' in navigator)) return;
  const registration = await navigator.serviceWorker.getRegistration();
  for (const shown of (await registration?.getNotifications()) ?? []) shown.close();
  for (const name of await caches.keys()) if (name.startsWith('gatehouse-')) await caches.delete(name);
}

async function subscriptionHere(): Promise<PushSubscription | null> {
  if (!('serviceWorker' in navigator && 'PushManager' in window)) return null;
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

async function findHere({ endpoint }: PushSubscription): Promise<PushSubscriptionView | undefined> {
  const digest = await digestOf(endpoint);
  const { items } = await call('GET /push/subscriptions');
  return items.find(({ endpointDigest }) => endpointDigest === digest);
}

function tell(subscription: PushSubscription, stays: boolean): Promise<PushSubscriptionView> {
  const { endpoint = '', keys } = subscription.toJSON();
  const [p256dh, auth] = [keys?.p256dh ?? '', keys?.auth ?? ''].map((key) => key.replace(/=+$/, '')) as [
    string,
    string,
  ];
  return call('POST /push/subscriptions', { body: { endpoint, keys: { p256dh, auth }, stays } });
}

async function digestOf(endpoint: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(endpoint)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** iPhones and iPads give notifications to installed web apps only; an iPad says that it is a Mac. */
const isApple = () =>
  /iPhone|iPad/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
