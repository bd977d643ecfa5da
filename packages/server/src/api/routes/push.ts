import { newPushSubscription } from '@gatehouse/protocol';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { personOf } from './session.ts';

/** Notifications in one's own browsers. */
export function pushRoutes({ channels, push }: ApiDependencies): Route[] {
  return [
    route('GET /push', 'self', 'With which key a browser subscribes to notifications', {}, async () => {
      const names = channels.pushChannels();
      return { publicKey: names.length === 0 ? null : (await push.key()).publicKey, channels: names };
    }),
    route('GET /push/subscriptions', 'self', 'The browsers that tell me what waits for me', {}, async ({ caller }) => ({
      items: await push.list(personOf(caller).email),
    })),
    route(
      'POST /push/subscriptions',
      'self',
      'Have this browser tell me what waits for me, or say that it still does',
      { body: newPushSubscription },
      async ({ caller, body, http }) => {
        const person = personOf(caller);
        channels.pushChannels(new URL(body.endpoint).host);
        return push.add(person, body, http.req.header('user-agent') ?? '');
      },
    ),
    route(
      'DELETE /push/subscriptions/:id',
      'self',
      'Have a browser of mine tell me nothing any more',
      {},
      async ({ caller, param }) => {
        await push.remove(personOf(caller).email, param('id'));
        return { ok: true };
      },
    ),
    route(
      'POST /push/subscriptions/:id/test',
      'self',
      'Send a notification to a browser of mine that asks for nothing',
      {},
      async ({ caller, param }) => {
        const { email } = personOf(caller);
        const [channel = ''] = channels.pushChannels(await push.serviceOf(email, param('id')));
        return channels.test(channel, caller.by, `${email}/${param('id')}`);
      },
    ),
  ];
}
