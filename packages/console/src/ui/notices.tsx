import { ActionIcon } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { type ReactNode, useEffect, useState, useSyncExternalStore } from 'react';
import classes from './notices.module.css';

/** What has come of something that a person did: green: as they wanted; red: not, and it stays until they close it. */
interface Notice {
  color?: 'green' | 'red' | 'gray';
  title?: string;
  message: ReactNode;
}

const SHOWN_MS = 6_000;
const MOST_AT_ONCE = 5;

let shown: readonly (Notice & { id: number })[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function publish(next: typeof shown): void {
  shown = next;
  for (const listener of listeners) listener();
}

export function notify(notice: Notice): void {
  publish([...shown, { ...notice, id: ++lastId }].slice(-MOST_AT_ONCE));
}

const close = (id: number) => publish(shown.filter((each) => each.id !== id));

/** In the corner of every page. */
export function Notices() {
  const notices = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
  return (
    <div className={classes.corner}>
      {notices.map(({ id, ...notice }) => (
        <OneNotice key={id} notice={notice} close={() => close(id)} />
      ))}
    </div>
  );
}

function OneNotice({ notice: { color, title, message }, close }: { notice: Notice; close: () => void }) {
  const [isRead, setIsRead] = useState(false);
  const stays = color === 'red' || isRead;
  // biome-ignore lint/correctness/useExhaustiveDependencies: `close` is another function each time, and does the same
  useEffect(() => {
    if (stays) return;
    const timer = setTimeout(close, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [stays]);
  return (
    <div
      className={classes.notice}
      data-color={color}
      role="alert"
      onPointerEnter={() => setIsRead(true)}
      onPointerLeave={() => setIsRead(false)}
      onFocus={() => setIsRead(true)}
      onBlur={() => setIsRead(false)}
    >
      <div>
        {title && <strong>{title}</strong>}
        <p>{message}</p>
      </div>
      <ActionIcon size={24} aria-label="Close this notice" onClick={close}>
        <IconX size={15} />
      </ActionIcon>
    </div>
  );
}
