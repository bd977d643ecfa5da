import { buildPushPayload } from '@block65/webcrypto-web-push';
import type { ChannelManifest } from '@gatehouse/protocol';
import { call } from './call.ts';
import { channelLimits as limits } from './limits.ts';
import type { Message } from './message.ts';
import { type Channel, type Delivery, NobodyThere, NotDeliverable, type Tools } from './types.ts';

/**
 * Web Push (RFC 8030) to the browsers in which those who may decide have turned notifications on: encrypted for each (RFC 8291), with the house's own
 * proof of who sends (RFC 8292). A notification leads to the page, and decides nothing.
 */
export function openPush(manifest: ChannelManifest, tools: Tools): Channel {
  const { contact, services } = manifest.push as NonNullable<ChannelManifest['push']>;
  // RFC 8292 §2.1: an address of mail or https.
  const subject = contact === undefined ? tools.publicUrl.replace(/^http:/, 'https:') : `mailto:${contact}`;

  async function post(message: Message, recipient: string): Promise<void> {
    const target = await tools.push.find(recipient);
    if (!target) throw new NobodyThere('notifications were turned off in this browser');
    const { host } = new URL(target.endpoint);
    if (!isServed(services, host)) throw new NotDeliverable(`${host} is no push service that this channel calls`);
    const { publicKey, privateKey } = await tools.push.key();
    const { headers, body } = await buildPushPayload(
      { data: payloadOf(message), options: optionsOf(message, tools.clock.now()) },
      { ...target, expirationTime: null },
      { subject, publicKey, privateKey: privateKey.reveal() },
    );
    try {
      await call(tools, manifest, target.endpoint, { method: 'POST', headers, body });
    } catch (error) {
      if (error instanceof NobodyThere) await tools.push.forget(recipient);
      throw error;
    }
    await tools.push.noteSent(recipient);
  }

  async function send(message: Message, { recipient }: Delivery): Promise<null> {
    // A test of the channel goes to all browsers of whoever asks for it.
    const all = recipient.includes('/') ? [recipient] : await tools.push.recipients([recipient]);
    if (all.length === 0)
      throw new NotDeliverable('you are told in no browser: turn notifications on under Settings, in the console');
    const sent = await Promise.allSettled(all.map((each) => post(message, each)));
    const failed = sent.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
    if (failed) throw failed.reason;
    return null;
  }

  return {
    recipients: (transaction, people) => tools.push.recipients(people, transaction),
    send,
    // What is shown is replaced, by the approval's name: a notification that is still on its way by its topic.
    close: (message, { recipient }) => post(message, recipient),
  };
}

/** `*.` stands for any name below. */
export function isServed(services: readonly string[], host: string): boolean {
  return services.some((each) => (each.startsWith('*.') ? host.endsWith(each.slice(1)) : host === each));
}

/** The TTL is what is left of the approval; the topic has a push service keep the last message of each only (RFC 8030 §5.4). */
function optionsOf({ event, approval, expiresAt, urgency }: Message, now: number) {
  const left = expiresAt === null ? 0 : Math.floor((expiresAt - now) / 1_000);
  return {
    ttl: event === 'asked' ? Math.max(1, left) : Math.max(limits.closedSeconds, left),
    urgency: event === 'closed' ? ('low' as const) : urgency,
    topic: (approval ?? 'gatehouse-test').replaceAll(/[^A-Za-z0-9_-]/g, '').slice(0, 32),
  };
}

/** What the service worker shows: words, and the path of a page of its own origin. */
function payloadOf({ event, approval, heading, facts, arguments: args, urgency, url, expiresAt }: Message) {
  const isAsked = event === 'asked';
  // These stand in its title.
  const rest = isAsked ? facts.filter(([label]) => label !== 'Agent' && label !== 'Tool') : facts;
  const lines = rest.map(([label, value]) => `${label}: ${value}`);
  if (isAsked && facts.length > 0) lines.push(`Risk: ${urgency === 'high' ? 'high' : 'ordinary'}`);
  if (args !== null && isAsked) lines.push(args);
  const payload = { event, approval, title: heading, body: lines.join('\n'), path: new URL(url).pathname, expiresAt };
  while (Buffer.byteLength(JSON.stringify(payload)) > limits.pushBytes && payload.body.length > 10)
    payload.body = `${payload.body.slice(0, Math.floor(payload.body.length * 0.8) - 2).toWellFormed()} …`;
  return payload;
}
