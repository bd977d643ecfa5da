import { ActionIcon, Button, useMantineColorScheme } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconAlertTriangle,
  IconDeviceDesktop,
  IconKeyboard,
  IconLogout,
  IconMenu2,
  IconMoon,
  IconSearch,
  IconSettings,
  IconShieldX,
  IconSun,
  IconX,
} from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useRouter, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { stuckLeasesQuery } from '../api/credential-queries.ts';
import { startLive, useLive } from '../api/live.ts';
import { keepPushHere, signOutHere } from '../api/push.ts';
import { pendingApprovalsQuery, statusQuery } from '../api/queries.ts';
import { useWaitingDefinitions } from '../api/waiting.ts';
import { BreakGlassBanner } from '../pages/break-glass/break-glass-banner.tsx';
import { Menu, MenuItem, MenuLink } from '../ui/menu.tsx';
import { When } from '../ui/when.tsx';
import { Brand } from './brand.tsx';
import { useKeyboard } from './keyboard.ts';
import { destinations } from './navigation.ts';
import { takeNewVersion, useNewVersion } from './service-worker.ts';
import { useSession } from './session.ts';
import classes from './shell.module.css';

const HelpDialog = lazy(() => import('./help-dialog.tsx').then(({ HelpDialog }) => ({ default: HelpDialog })));
const JumpDialog = lazy(() => import('./jump-dialog.tsx').then(({ JumpDialog }) => ({ default: JumpDialog })));
const KillDialog = lazy(() =>
  import('../pages/agents/kill-dialog.tsx').then(({ KillDialog }) => ({ default: KillDialog })),
);

export function Shell() {
  const queries = useQueryClient();
  useEffect(() => startLive(queries), [queries]);
  useEffect(() => {
    // Nobody waits for it; what is wrong with notifications stands in the settings.
    keepPushHere().catch(() => undefined);
  }, []);
  const [help, setHelp] = useState(false);
  const [jump, setJump] = useState(false);
  const [kill, setKill] = useState(false);
  const [menu, { toggle, close }] = useDisclosure(false);
  useKeyboard({
    help: useCallback(() => setHelp(true), []),
    jump: useCallback(() => setJump(true), []),
    kill: useCallback(() => setKill(true), []),
  });

  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    close();
    // As after loading a page: keys and screen readers begin at the content.
    main.current?.focus({ preventScroll: true });
  }, [path, close]);

  return (
    <>
      <a href="#main" className={classes.skip}>
        Skip to the content
      </a>
      <div className={classes.layout}>
        <div className={classes.top}>
          <ActionIcon
            size={40}
            onClick={toggle}
            aria-label={menu ? 'Close the menu' : 'Open the menu'}
            aria-expanded={menu}
          >
            {menu ? <IconX size={20} /> : <IconMenu2 size={20} />}
          </ActionIcon>
          <Brand />
          <KillButton open={() => setKill(true)} />
        </div>
        <aside className={classes.side} data-open={menu}>
          <Brand />
          <button type="button" className={classes.jump} onClick={() => setJump(true)}>
            <IconSearch size={14} aria-hidden />
            <span>Jump to…</span>
            <kbd>Ctrl K</kbd>
          </button>
          <Navigation />
          <div className={classes.foot}>
            <KillButton open={() => setKill(true)} wide />
            <LiveSign />
            <Person showHelp={() => setHelp(true)} />
          </div>
        </aside>
        <main id="main" ref={main} tabIndex={-1} className={classes.main}>
          <StaleNotice />
          <NewVersionNotice />
          <BreakGlassBanner />
          <Outlet />
        </main>
      </div>
      <Suspense>
        {help && <HelpDialog opened close={() => setHelp(false)} />}
        {jump && <JumpDialog opened close={() => setJump(false)} />}
        {kill && <KillDialog close={() => setKill(false)} />}
      </Suspense>
    </>
  );
}

function KillButton({ open, wide = false }: { open: () => void; wide?: boolean }) {
  return (
    <Button
      variant="outline"
      color="var(--gh-red-fg)"
      leftSection={<IconShieldX size={15} />}
      fullWidth={wide}
      onClick={open}
      title="Stop an agent everywhere (Shift K)"
    >
      Kill switch
    </Button>
  );
}

function Navigation() {
  const pending = useQuery(pendingApprovalsQuery).data?.length ?? 0;
  const held = useWaitingDefinitions()?.length ?? 0;
  const stuck = useQuery(stuckLeasesQuery).data?.items.length ?? 0;
  const waiting: Record<string, [number, string]> = {
    '/approvals': [pending, 'waiting for approval'],
    '/tools': [held, 'definitions waiting for review'],
    '/leases': [stuck, 'credentials that could not be ended'],
  };
  const path = useRouterState({ select: ({ location }) => location.pathname });
  return (
    <nav className={classes.nav} aria-label="Pages">
      {destinations.map(({ to, label, icon: Glyph, key, also }) => {
        const [count, what] = waiting[to] ?? [0, ''];
        return (
          <Link
            key={to}
            to={to}
            className={classes.item}
            activeOptions={{ exact: to === '/', includeSearch: false }}
            aria-current={also?.some((each) => path.startsWith(each)) ? 'page' : undefined}
          >
            <Glyph size={17} stroke={1.7} aria-hidden />
            <span>{label}</span>
            <span className={classes.hint} aria-hidden>
              g {key}
            </span>
            {count > 0 && (
              <span className={`${classes.waiting} gh-numbers`} title={`${count} ${what}`}>
                {count}
              </span>
            )}
          </Link>
        );
      })}
    </nav>
  );
}

function LiveSign() {
  const { state } = useLive();
  const { data } = useQuery(statusQuery);
  const words = { live: 'Live', connecting: 'Connecting …', offline: 'Connection lost, retrying …' }[state];
  return (
    <div className={classes.live} data-state={state} role="status">
      <span className={classes.dot} aria-hidden />
      <span className="gh-ellipsis">
        {words}
        {state === 'live' && data && ` · ${data.replica}`}
      </span>
    </div>
  );
}

/** Law of the feed: a replica that has lost touch with the database denies everything, and people must know why. */
function StaleNotice() {
  const { data } = useQuery(statusQuery);
  if (!data || data.fresh) return null;
  return (
    <div className={classes.stale} role="alert">
      <IconAlertTriangle size={16} aria-hidden />
      Replica {data.replica} has lost touch with its database and denies every action until it is back.
      {data.troubles.map(({ what, since, problem }) => (
        <span key={what}>
          {' '}
          {what === 'changes' ? 'Changes can’t be followed' : 'Nothing can be recorded'} since <When at={since} />
          {problem !== null && `: ${problem}`}
        </span>
      ))}
    </div>
  );
}

function NewVersionNotice() {
  if (!useNewVersion()) return null;
  return (
    <div className={classes.newer} role="status">
      A new version of the console is there.
      <Button variant="default" size="compact-xs" onClick={takeNewVersion}>
        Reload
      </Button>
    </div>
  );
}

function Person({ showHelp }: { showHelp: () => void }) {
  const { person } = useSession();
  const router = useRouter();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const signOut = useMutation({
    mutationFn: signOutHere,
    onSuccess: () => router.navigate({ to: '/sign-in', search: {} }),
  });
  const schemes = [
    { value: 'light', label: 'Light', icon: IconSun },
    { value: 'dark', label: 'Dark', icon: IconMoon },
    { value: 'auto', label: 'As the system', icon: IconDeviceDesktop },
  ] as const;
  const Scheme = schemes.find(({ value }) => value === colorScheme)?.icon ?? IconDeviceDesktop;
  return (
    <div className={classes.person}>
      <Menu
        about={person.email}
        target={(properties) => (
          <button
            type="button"
            className={classes.who}
            aria-label={`${person.displayName}: settings and sign out`}
            {...properties}
          >
            <span className="gh-ellipsis">{person.displayName}</span>
            <small className="gh-ellipsis">{person.roles.join(', ') || 'no role'}</small>
          </button>
        )}
      >
        <MenuLink icon={<IconSettings size={15} />} to="/settings">
          Passkeys, sessions, notifications
        </MenuLink>
        <MenuItem icon={<IconKeyboard size={15} />} onClick={showHelp}>
          Keys
        </MenuItem>
        <MenuItem icon={<IconLogout size={15} />} onClick={() => signOut.mutate()}>
          Sign out
        </MenuItem>
      </Menu>
      <Menu
        target={(properties) => (
          <ActionIcon size={30} title="Light or dark" aria-label="Light or dark" {...properties}>
            <Scheme size={16} />
          </ActionIcon>
        )}
      >
        {schemes.map(({ value, label, icon: Glyph }) => (
          <MenuItem
            key={value}
            icon={<Glyph size={15} />}
            onClick={() => setColorScheme(value)}
            current={value === colorScheme}
          >
            {label}
          </MenuItem>
        ))}
      </Menu>
    </div>
  );
}
