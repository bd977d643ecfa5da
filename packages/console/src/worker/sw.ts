import type { WindowClient, WorkerScope } from './scope.ts';
import { isPage, ownPath, shownOf } from './shown.ts';

/** Path and SHA-256 of every file that the page loads at first, written in by the build: another build is another worker. */
declare const __SHELL__: Record<string, string>;

/**
 * The service worker. It keeps the static files that the page begins with, and nothing of what the API says; it shows what a push says, and opens its
 * page. It decides nothing and holds no session.
 */
const worker = self as unknown as WorkerScope;
const shell = new Map(Object.entries(__SHELL__));
const CACHE = `gatehouse-shell-${[...shell.values()].map((digest) => digest.slice(0, 6)).join('')}`;

worker.addEventListener('activate', (event) => {
  event.waitUntil(forgetFiles((name) => name !== CACHE).then(() => worker.clients.claim()));
});

worker.addEventListener('message', (event) => {
  if (event.data === 'activate') event.waitUntil(worker.skipWaiting());
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (request.method !== 'GET' || origin !== worker.location.origin) return;
  const digest = search === '' ? shell.get(pathname) : undefined;
  if (digest !== undefined) event.respondWith(fromShell(pathname, digest));
  else if (request.mode === 'navigate' && isPage(pathname)) event.respondWith(fetch(request).catch(offline));
});

worker.addEventListener('push', (event) => {
  const { title, options, isClosed } = shownOf(event.data?.text() ?? '');
  event.waitUntil(isClosed ? close(title, options) : worker.registration.showNotification(title, options));
});

worker.addEventListener('notificationclick', (event) => {
  const path = ownPath((event.notification.data as { path?: unknown } | null)?.path) ?? '/approvals';
  event.notification.close();
  event.waitUntil(open(path));
});

/** INVARIANT: what is kept counts only while it is what was built: a page that was once misled can't leave a script behind for the next. */
async function fromShell(path: string, digest: string): Promise<Response> {
  const cache = await worker.caches.open(CACHE);
  const kept = await cache.match(path);
  if (kept && (await digestOf(kept.clone())) === digest) return kept;
  const fresh = await fetch(path, { credentials: 'same-origin' });
  if (fresh.ok && (await digestOf(fresh.clone())) === digest) await cache.put(path, fresh.clone());
  return fresh;
}

async function digestOf(response: Response): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await response.arrayBuffer()));
  return btoa(String.fromCharCode(...digest));
}

async function forgetFiles(which: (name: string) => boolean): Promise<void> {
  for (const name of await worker.caches.keys())
    if (name.startsWith('gatehouse-') && which(name)) await worker.caches.delete(name);
}

const windows = () => worker.clients.matchAll({ type: 'window', includeUncontrolled: true });

/** Whoever looks at the console sees it there; elsewhere the notification says so, for a browser wants one for every push. */
async function close(title: string, options: NotificationOptions): Promise<void> {
  const isSeen = (await windows()).some(({ visibilityState }) => visibilityState === 'visible');
  if (!isSeen) return worker.registration.showNotification(title, options);
  const shown = await worker.registration.getNotifications({ tag: options.tag ?? '' });
  for (const each of shown) each.close();
}

/** In a window that shows approvals or is not looked at; one in which somebody does something else is not taken away. */
async function open(path: string): Promise<void> {
  const isFree = ({ url, visibilityState }: WindowClient) =>
    visibilityState !== 'visible' || /^\/approvals(\/|$)/.test(new URL(url).pathname);
  const free = (await windows()).find(isFree);
  if (!free) {
    await worker.clients.openWindow(path);
    return;
  }
  free.postMessage({ open: path });
  // A browser may refuse to bring it forward; it shows the page all the same.
  await free.focus().catch(() => undefined);
}

function offline(): Response {
  const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Gatehouse can’t be reached</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 24px}</style></head>
<body><h1>Gatehouse can’t be reached</h1><p>This device is offline, or the server is. Nothing is shown here, because nothing that could be shown would be true
any more: what waits, what runs and what was stopped is known at the server only.</p><p>Nothing is approved or denied meanwhile. What waits goes on waiting
until its time is over, and agents do without.</p><p><a href="">Try again</a></p></body></html>`;
  return new Response(page, {
    status: 503,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    },
  });
}
