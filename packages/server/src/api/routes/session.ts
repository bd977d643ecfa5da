import { bodies, type SessionView } from '@gatehouse/protocol';
import type { NewSession, SignedInPerson } from '../../identity/index.ts';
import { GatehouseError, type Json } from '../../platform/index.ts';
import { addressOf } from '../address-of.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, type Route, type RouteContext, route } from '../route.ts';

export function sessionRoutes({ people }: ApiDependencies): Route[] {
  const start = ({ http }: RouteContext, session: NewSession): SessionView => {
    http.header('set-cookie', session.setCookie);
    return viewOf(session.person);
  };
  const userAgent = ({ http }: RouteContext) => http.req.header('user-agent') ?? '';
  const cookieOf = ({ http }: RouteContext) => {
    const cookie = http.req.header('cookie');
    return cookie === undefined ? {} : { cookie };
  };

  return [
    route('GET /session', 'enrolling', 'Who is signed in', {}, async ({ caller }) =>
      caller.person
        ? viewOf(caller.person)
        : {
            person: { email: caller.email, displayName: caller.displayName, roles: caller.roles },
            enrolled: true,
            via: 'operator',
          },
    ),
    route(
      'POST /signin/link',
      'public',
      'Redeem a one-time sign-in link',
      { body: bodies.signInLink },
      async (context) => {
        const redeemed = await people.redeemSigninLink(context.body.token, {
          userAgent: userAgent(context),
          ...cookieOf(context),
        });
        if (redeemed.next === 'passkey') return { next: 'passkey', email: redeemed.person };
        return { next: 'enrol', session: start(context, redeemed.session) };
      },
    ),
    route(
      'POST /signin/mail',
      'public',
      'Redeem the link of a mail: a short session for one approval. Who is signed in already stays so, and the link unused',
      { body: bodies.mailSignIn },
      async (context) => {
        const { caller, body } = context;
        if (caller?.person?.enrolled) return viewOf(caller.person);
        const { token, ...of } = { ...body, userAgent: userAgent(context), ...cookieOf(context) };
        return start(context, await people.mailLinks.redeem(token, of));
      },
    ),
    route('POST /signin/passkey/options', 'public', 'Begin to sign in with a passkey', {}, async ({ http }) => ({
      options: await people.signInOptions(addressOf(http)),
    })),
    route(
      'POST /signin/passkey',
      'public',
      'Sign in with a passkey',
      { body: bodies.passkeySignIn },
      async (context) => {
        const session = await people.signIn(context.body.assertion as Json, {
          userAgent: userAgent(context),
          ...cookieOf(context),
        });
        return start(context, session);
      },
    ),
    route('POST /signout', 'enrolling', 'End this session', {}, async ({ caller, http }) => {
      http.header('set-cookie', await people.signOut(personOf(caller)));
      return { ok: true };
    }),
    route('GET /passkeys', 'enrolling', 'My passkeys', {}, async ({ caller }) => ({
      items: await people.listPasskeys(personOf(caller).email),
    })),
    route('POST /passkeys/options', 'enrolling', 'Begin to enrol a passkey', {}, async ({ caller }) => ({
      options: await people.enrolmentOptions(personOf(caller)),
    })),
    route('POST /passkeys', 'enrolling', 'Enrol a passkey', { body: bodies.passkeyEnrol }, async (context) => {
      const { name, attestation } = context.body;
      const { session } = await people.enrol(personOf(context.caller), attestation as Json, {
        name,
        userAgent: userAgent(context),
      });
      return start(context, session);
    }),
    route(
      'PATCH /passkeys/:id',
      'passkeys',
      'Rename a passkey',
      { body: bodies.renamePasskey },
      async ({ caller, param, body }) => {
        await people.renamePasskey(personOf(caller), param('id'), body.name);
        return { ok: true };
      },
    ),
    route('DELETE /passkeys/:id', 'passkeys', 'Remove a passkey', {}, async ({ caller, param }) => {
      await people.removePasskey(personOf(caller), param('id'));
      return { ok: true };
    }),
    route('GET /sessions', 'self', 'My sessions', {}, async ({ caller }) => {
      const person = personOf(caller);
      const sessions = await people.listSessions(person.email);
      return {
        items: sessions.map((session) => ({
          ...session,
          person: person.email,
          current: session.id === person.session,
        })),
      };
    }),
    route('DELETE /sessions/:id', 'self', 'End one of my sessions', {}, async ({ caller, param }) => {
      await people.revokeSession(personOf(caller).email, param('id'), caller.by);
      return { ok: true };
    }),
    route(
      'POST /people/signin-links',
      'admit',
      'Make a one-time sign-in link for a person',
      { body: bodies.createSignInLink },
      async ({ caller, body }) => {
        const { url, expiresAt } = await people.createSigninLink(body.email, {
          by: caller.by,
          recovery: body.recovery,
        });
        return { url, expiresAt };
      },
    ),
  ];
}

/** Routes about oneself need a person: the operator's local token is nobody in particular. */
export function personOf(caller: ApiCaller): SignedInPerson {
  if (caller.person) return caller.person;
  throw new GatehouseError(
    'forbidden',
    'session.person-needed',
    'This needs a signed-in person. Open the console in a browser and sign in with a passkey.',
  );
}

function viewOf({ email, displayName, roles, enrolled, byMail, ...session }: SignedInPerson): SessionView {
  return {
    person: { email, displayName, roles },
    enrolled,
    via: byMail ? 'mail' : session.restricted ? 'command-line' : 'browser',
    ...(byMail && { approval: byMail.approval }),
    session: {
      id: session.session,
      createdAt: session.since,
      expiresAt: session.until,
      provider: session.provider,
    },
  };
}
