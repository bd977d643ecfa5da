import { useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';
import { destinations } from './navigation.ts';

interface Handlers {
  help: () => void;
  jump: () => void;
  kill: () => void;
}

/** How long the second key of `g a` may take. */
const SEQUENCE_MS = 1_200;

/** Keys of the whole console. Where somebody types, only Escape and Ctrl-K count. */
export function useKeyboard({ help, jump, kill }: Handlers): void {
  const router = useRouter();
  useEffect(() => {
    let goUntil = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        jump();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = event.target instanceof HTMLElement ? event.target : null;
      if (isTyping(target)) {
        if (event.key === 'Escape' && !target?.closest('[role="dialog"]')) target?.blur();
        return;
      }
      if (document.querySelector('[role="dialog"]')) return;
      const isSecond = Date.now() < goUntil;
      goUntil = 0;
      if (isSecond) {
        const destination = destinations.find(({ key }) => key === event.key);
        if (destination) void router.navigate({ to: destination.to });
        return;
      }
      if (event.key === 'g') goUntil = Date.now() + SEQUENCE_MS;
      else if (event.key === 'j') moveFocus(1);
      else if (event.key === 'k') moveFocus(-1);
      else if (event.key === '?') help();
      else if (event.key === 'K') kill();
      else if (event.key === '/') document.querySelector<HTMLElement>('main [data-filter]')?.focus();
      else if (event.key === 'p') document.querySelector<HTMLElement>('main [data-key="p"]')?.click();
      else if (event.key === 'a' || event.key === 'd' || event.key === 'e') pressOnCard(event.key);
      else if (event.key === 'Escape') target?.blur();
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [router, help, jump, kill]);
}

function isTyping(target: HTMLElement | null): boolean {
  return target?.matches('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]') ?? false;
}

/** `a` and `d` answer the card that has the focus, or the only one there is; `e` ends what the row in focus is about. */
function pressOnCard(key: 'a' | 'd' | 'e'): void {
  const cards = document.querySelectorAll('main article');
  const card = document.activeElement?.closest('article, tr') ?? (cards.length === 1 ? cards[0] : undefined);
  card?.querySelector<HTMLElement>(`[data-key="${key}"]`)?.click();
}

/** `j` and `k` go through the rows of whatever lists the page has; Enter then follows the row's link. */
function moveFocus(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row-link]')];
  const current = rows.indexOf(document.activeElement as HTMLElement);
  const next = current < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(current + by, 0), rows.length - 1);
  rows[next]?.focus();
  rows[next]?.closest('tr, article')?.scrollIntoView({ block: 'nearest' });
}
