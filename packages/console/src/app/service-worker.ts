import { useSyncExternalStore } from 'react';
import { ownPath } from '../worker/shown.ts';

const UPDATE_EVERY_MS = 3_600_000;

let waiting: ServiceWorker | null = null;
const listeners = new Set<() => void>();

function noteWaiting(registration: ServiceWorkerRegistration): void {
  // Without a controller it is the first one, and there is nothing older.
  waiting = navigator.serviceWorker.controller ? registration.waiting : null;
  for (const listener of listeners) listener();
}

/** Begins once, with the page. `open` is given the path of what a notification leads to. */
export function startServiceWorker(open: (path: string) => void): void {
  const { serviceWorker } = navigator;
  // Absent where the page came neither over https nor from this machine.
  if (!serviceWorker) return;
  serviceWorker.addEventListener('message', ({ data }) => {
    const path = ownPath((data as { open?: unknown } | null)?.open);
    if (path !== undefined) open(path);
  });
  window.addEventListener('load', () => {
    serviceWorker
      .register('/sw.js', { scope: '/', updateViaCache: 'none' })
      .then(follow)
      .catch((error: unknown) => {
        console.warn('The service worker could not be started: there are no notifications.', error);
      });
  });
}

function follow(registration: ServiceWorkerRegistration | undefined): void {
  // Where workers are blocked, some browsers answer with none.
  if (!registration) return;
  noteWaiting(registration);
  registration.addEventListener('updatefound', () => {
    const { installing } = registration;
    installing?.addEventListener('statechange', () => noteWaiting(registration));
  });
  const look = () => {
    if (document.visibilityState === 'visible') registration.update().catch(() => undefined);
  };
  setInterval(look, UPDATE_EVERY_MS);
  document.addEventListener('visibilitychange', look);
}

export function useNewVersion(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => waiting !== null,
  );
}

/** All windows of the console go on with the new worker; this one loads the new pages. */
export function takeNewVersion(): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  waiting?.postMessage('activate');
}
