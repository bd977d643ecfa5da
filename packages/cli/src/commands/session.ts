import { hostname } from 'node:os';
import { commandLineAgent, commandLineHost, type SessionSummaryView, type SessionView } from '@gatehouse/protocol';
import { createOperator } from '@gatehouse/sdk/operator';
import { openBrowser } from '../browser.ts';
import { CliFailure } from '../failure.ts';
import { clean, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions, trustOf, urlOf } from '../server-address.ts';
import { createSessionKey, forgetSession, keepSession, readSession, type StoredSession } from '../session-file.ts';
import type { Run, Verb } from '../verb.ts';
import { VERSION } from '../version.ts';

interface LoginOptions extends ServerOptions {
  browser: boolean;
  keyring?: boolean;
}

export const login: Run<LoginOptions> = async ({ options, out }) => {
  const url = urlOf(options);
  const before = await readSession(url).catch(() => undefined);
  const { beginSignIn } = await import('@gatehouse/sdk/sign-in');
  const { key, jwk } = await createSessionKey();
  const begun = await beginSignIn({
    url,
    key,
    name: commandLineAgent(VERSION, hostname()),
    ...trustOf(options),
  });
  // To standard error: with --json the answer alone is on standard output.
  out.note(`To sign in, open ${begun.pageWithCode}\nand compare the code: ${begun.userCode}`);
  if (options.browser) {
    const problem = await openBrowser(begun.pageWithCode);
    if (problem !== undefined)
      out.note(`No browser could be opened (${problem}): open the address yourself, anywhere.`);
  }
  const { token, session } = await begun.finish();
  const operator = createOperator({ url, session: async () => ({ token, key }), ...trustOf(options) });
  const view = await operator.call('GET /session');
  try {
    await keepSession(url, { token, key: jwk, session }, { keyring: options.keyring === true });
  } catch (error) {
    // A session that nobody can use or end from here must not live on.
    await operator.call('POST /signout').catch(() => undefined);
    throw error;
  }
  if (before) await endAtServer(options, before).catch(() => undefined);
  if (out.json) return out.printJson({ url, ...view });
  out.print(
    `Signed in at ${url} as ${clean(view.person.displayName)} (${view.person.email}), until ${timeOf(view.session?.expiresAt)}.`,
  );
  out.note(
    'This session never approves anything, and what could widen something is confirmed: both in a browser. `gatehouse logout` ends it.',
  );
};

export const logout: Run<ServerOptions & { forget?: boolean }> = async ({ options, out }) => {
  const url = urlOf(options);
  const stored = options.forget ? await readSession(url).catch(() => undefined) : await readSession(url);
  if (!stored && !options.forget) throw notSignedIn(url);
  const ended =
    stored !== undefined &&
    (await endAtServer(options, stored).catch((error: unknown) => {
      if (options.forget) return false;
      throw new CliFailure(
        'unavailable',
        'logout.not-ended',
        `The session could not be ended at the server, so it is kept here: ${error instanceof Error ? error.message : error} Try again; \`gatehouse logout --forget\` removes it from this computer only.`,
        { cause: error },
      );
    }));
  await forgetSession(url);
  if (out.json) return out.printJson({ url, ended });
  out.print(
    ended
      ? `Signed out at ${url}.`
      : `Removed here. If it still lives at ${url}, end it in the console under Settings.`,
  );
};

/** True: it is over there, now or since before. */
async function endAtServer(options: ServerOptions, { token, key }: StoredSession): Promise<boolean> {
  const session = async () => ({ token, key });
  const operator = createOperator({ url: urlOf(options), session, ...trustOf(options) });
  await operator.call('POST /signout').catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 'session.none') throw error;
  });
  return true;
}

const wayIn = ({ via, session }: SessionView): string => {
  if (via === 'operator') return 'with the operator token of the server’s host';
  const by = session?.provider == null ? 'a passkey' : `company sign-in (${session.provider})`;
  return `at the command line (gatehouse login), let in by ${by}`;
};

export const whoami: Run<ServerOptions> = async ({ options, out }) => {
  const operator = operatorOf(options);
  const view = await operator.call('GET /session');
  if (out.json) return out.printJson({ url: operator.url, ...view });
  const { person, session } = view;
  out.facts([
    ['Server', operator.url],
    ['Person', person.email],
    ['Name', person.displayName],
    ['Roles', person.roles.join(', ') || 'none'],
    ['Signed in', wayIn(view)],
    ['Since', timeOf(session?.createdAt)],
    ['Until', timeOf(session?.expiresAt)],
    ['Session', session?.id],
  ]);
};

export const listSessions: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /sessions');
  if (out.json) return out.printJson({ items });
  printSessions(items, out);
};

export const endSession: Run<ServerOptions> = async ({ args: [given = ''], options, out }) => {
  const operator = operatorOf(options);
  const { items } = await operator.call('GET /sessions');
  // Ids are long; their beginning is enough where only one begins so.
  const found = items.filter(({ id }) => id.startsWith(given));
  const [only] = found;
  if (given.length < 6 || found.length !== 1 || !only)
    throw new CliFailure(
      'noInput',
      'session.not-found',
      `${found.length === 0 ? 'No session of yours begins' : 'More than one session of yours begins'} with "${given}". \`gatehouse sessions\` lists them.`,
    );
  await operator.call('DELETE /sessions/:id', { params: { id: only.id } });
  if (out.json) return out.printJson({ ended: only.id });
  out.print(`The session ${only.id.slice(0, 12)} has ended.`);
};

/** For whoever's sessions. */
export function printSessions(items: SessionSummaryView[], out: Verb<unknown>['out']): void {
  out.table(
    ['SESSION', 'WHERE', 'BY', 'BEGAN', 'LAST USED', 'ENDS'],
    items.map(({ id, userAgent, via, provider, createdAt, lastSeenAt, expiresAt, current }) => {
      const host = commandLineHost(userAgent);
      return [
        id.slice(0, 12) + (current ? ' (this one)' : ''),
        host === undefined ? `browser: ${userAgent.slice(0, 60)}` : `command line on ${host}`,
        provider === null ? via : `${via} (${provider})`,
        timeOf(createdAt),
        timeOf(lastSeenAt),
        timeOf(expiresAt),
      ];
    }),
  );
}

const notSignedIn = (url: string) =>
  new CliFailure(
    'noPermission',
    'session.missing',
    `Nobody is signed in at ${url} here. Sign in: gatehouse login --url ${url}`,
  );
