const events = ['asked', 'closed', 'break-glass', 'lease-stuck', 'lease-over', 'test'] as const;
type Event = (typeof events)[number];

/** What a push says, as the server writes it. */
interface Payload {
  event: Event;
  approval: string | null;
  title: string;
  body: string;
  path: string;
}

export interface Shown {
  title: string;
  options: NotificationOptions & { renotify?: boolean };
  /** Nobody is needed any more: it takes the place of what said so, quietly. */
  isClosed: boolean;
}

/** A browser shows something for each push; for one that is not understood, that there is something to look at. */
export function shownOf(text: string): Shown {
  const { event, approval, title, body, path } = read(text);
  const isClosed = event === 'closed';
  return {
    title,
    isClosed,
    options: {
      body,
      tag: approval ?? event,
      renotify: !isClosed,
      silent: isClosed,
      icon: '/icons/icon-192.png',
      badge: '/icons/badge-96.png',
      data: { path },
    },
  };
}

function read(text: string): Payload {
  const nothing: Payload = {
    event: 'asked',
    approval: null,
    title: 'Gatehouse',
    body: 'Look at what waits for you.',
    path: '/approvals',
  };
  try {
    const { approval, title, body, path, ...said } = JSON.parse(text) as Record<string, unknown>;
    const event = events.find((each) => each === said.event);
    if (event === undefined || typeof title !== 'string' || typeof body !== 'string') return nothing;
    const id = typeof approval === 'string' ? approval : null;
    return { event, approval: id, title, body, path: ownPath(path) ?? nothing.path };
  } catch {
    return nothing;
  }
}

/** A page of this origin, or undefined. */
export function ownPath(path: unknown): string | undefined {
  return typeof path === 'string' && /^\/(?![/\\])[\w/%.@~-]*$/.test(path) ? path : undefined;
}

const pages =
  /^\/(?:(?:approvals|agents|tasks|tools|leases|providers|accounts|secrets|actions|policy|identity|log|evidence|settings|break-glass|channels)(?:\/|$)|$)/;

/** Whether a path is one of the console's pages, which say that they can't be reached; the rest of the origin is left alone. */
export const isPage = (path: string): boolean => pages.test(path);
