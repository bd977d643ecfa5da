/** What a service worker has, as far as this one uses it: the types of pages and of workers exclude each other. */
export interface WorkerScope {
  readonly location: Location;
  readonly caches: CacheStorage;
  readonly clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<readonly WindowClient[]>;
    openWindow(path: string): Promise<WindowClient | null>;
    claim(): Promise<void>;
  };
  readonly registration: ServiceWorkerRegistration;
  skipWaiting(): Promise<void>;
  addEventListener<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): void;
}

export interface WindowClient {
  readonly url: string;
  readonly visibilityState: DocumentVisibilityState;
  focus(): Promise<WindowClient>;
  postMessage(message: unknown): void;
}

interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface WorkerEvents {
  activate: Extendable;
  message: Extendable & { readonly data: unknown };
  fetch: Extendable & { readonly request: Request; respondWith(response: Promise<Response>): void };
  push: Extendable & { readonly data: { text(): string } | null };
  notificationclick: Extendable & { readonly notification: Notification };
}
