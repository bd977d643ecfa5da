import { Link, type LinkProps } from '@tanstack/react-router';
import { type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import classes from './menu.module.css';

interface Target {
  id: string;
  'aria-haspopup': 'menu';
  'aria-expanded': boolean;
  'aria-controls': string | undefined;
  onClick: () => void;
}

interface MenuProps {
  /** The button that opens it, with these properties. */
  target: (properties: Target) => ReactElement;
  /** Said above what can be chosen. */
  about?: ReactNode;
  children: ReactNode;
}

const GAP_PX = 6;
const EDGE_PX = 8;

/** A button with a few things to choose from, by mouse and keys as everybody expects (ARIA's pattern "menu button"). */
export function Menu({ target, about, children }: MenuProps) {
  const id = useId();
  const [opened, setOpened] = useState(false);
  return (
    <>
      {target({
        id,
        'aria-haspopup': 'menu',
        'aria-expanded': opened,
        'aria-controls': opened ? `${id}-menu` : undefined,
        onClick: () => setOpened((was) => !was),
      })}
      {opened && (
        <Opened of={id} about={about} close={() => setOpened(false)}>
          {children}
        </Opened>
      )}
    </>
  );
}

function Opened({ of, about, close, children }: Omit<MenuProps, 'target'> & { of: string; close: () => void }) {
  const menu = useRef<HTMLDivElement>(null);
  const closing = useRef(close);
  closing.current = close;
  useEffect(() => {
    const list = menu.current;
    const button = document.getElementById(of);
    if (!list || !button) return;
    list.showPopover();
    place(list, button.getBoundingClientRect());
    itemsOf(list)[0]?.focus();
    const outside = ({ target }: Event) => {
      if (target instanceof Node && !list.contains(target) && !button.contains(target)) closing.current();
    };
    const moved = () => closing.current();
    document.addEventListener('pointerdown', outside);
    window.addEventListener('resize', moved);
    return () => {
      document.removeEventListener('pointerdown', outside);
      window.removeEventListener('resize', moved);
    };
  }, [of]);

  const leave = () => {
    close();
    document.getElementById(of)?.focus();
  };
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const items = itemsOf(event.currentTarget);
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[to % items.length]?.focus();
    else if (event.key === 'Escape') leave();
    else if (event.key === 'Tab') return leave();
    else if (event.key === 'Enter' || event.key === ' ') return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={menu}
      id={`${of}-menu`}
      role="menu"
      tabIndex={-1}
      aria-labelledby={of}
      popover="manual"
      className={classes.menu}
      onKeyDown={onKeyDown}
      onClick={({ target }) => {
        if (target instanceof Element && target.closest('[role="menuitem"]')) leave();
      }}
    >
      {about && <div className={classes.about}>{about}</div>}
      {children}
    </div>
  );
}

const itemsOf = (menu: HTMLElement) => [...menu.querySelectorAll<HTMLElement>('[role="menuitem"]')];

/** Below the button where there is room, else above; never off the screen. */
function place(menu: HTMLElement, { left, right, top, bottom }: DOMRect): void {
  const { innerWidth, innerHeight } = window;
  const { offsetWidth: width, offsetHeight: height } = menu;
  const wanted = left + width <= innerWidth - EDGE_PX ? left : right - width;
  menu.style.left = `${Math.max(EDGE_PX, wanted)}px`;
  menu.style.top = `${bottom + GAP_PX + height <= innerHeight - EDGE_PX ? bottom + GAP_PX : Math.max(EDGE_PX, top - GAP_PX - height)}px`;
}

interface ItemProps {
  icon: ReactNode;
  /** It is what holds now. */
  current?: boolean;
  children: ReactNode;
}

export function MenuItem({ icon, current = false, onClick, children }: ItemProps & { onClick: () => void }) {
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      className={classes.item}
      aria-current={current || undefined}
      onClick={onClick}
    >
      {icon}
      <span>{children}</span>
    </button>
  );
}

export function MenuLink({ icon, to, children }: ItemProps & Pick<LinkProps, 'to'>) {
  return (
    <Link to={to} role="menuitem" tabIndex={-1} className={classes.item}>
      {icon}
      <span>{children}</span>
    </Link>
  );
}
