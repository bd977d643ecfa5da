import { connect, isIP, type Socket } from 'node:net';
import type { ChannelManifest } from '@gatehouse/protocol';
import { createTransport } from 'nodemailer';
import { checkAddress, guardedLookup } from '../../platform/index.ts';
import type { Message } from './message.ts';
import { type Channel, NotDeliverable, type Tools } from './types.ts';

const TIMEOUT_MS = 10_000;

/**
 * A mail to each person who may decide, over SMTP with TLS. Its link is the address of the page, or, where the manifest says so, opens this approval once
 * without a sign-in: opening it changes nothing, for scanners do that. A yes needs the passkey either way. A mail can't be changed, and no second one follows.
 */
export function openMail(manifest: ChannelManifest, tools: Tools): Channel {
  const { host, port, security, from, user, password, dkim, signInLink, signInLinkMinutes } =
    manifest.mail as NonNullable<ChannelManifest['mail']>;
  const { allowPrivateAddress, ca } = manifest;
  /** Secrets are for an address: that of the mail server, written as https. */
  const destination = `https://${host}`;

  async function linkFor({ event, approval, expiresAt }: Message, person: string, mail: string) {
    if (!signInLink || event !== 'asked' || approval === null) return null;
    const longest = tools.clock.now() + signInLinkMinutes * 60_000;
    const of = { person, approval, channel: manifest.name, mail, expiresAt: Math.min(longest, expiresAt ?? longest) };
    return tools.people.mailLinks.make(of);
  }

  async function send(asked: Message, to: string, id: string): Promise<void> {
    const link = await linkFor(asked, to, id);
    const message = link ? { ...asked, url: link.url } : asked;
    const pass = password === undefined ? undefined : (await tools.openSecret(password, destination)).reveal();
    const key = dkim && (await tools.openSecret(dkim.key, destination)).reveal();
    const connection = await open(host, port, allowPrivateAddress);
    const transport = createTransport({
      host,
      port,
      connection,
      secure: security === 'tls',
      requireTLS: true,
      tls: { servername: isIP(host) ? '' : host, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
      ...(user !== undefined && pass !== undefined && { auth: { user, pass } }),
      ...(dkim && key && { dkim: { domainName: dkim.domain, keySelector: dkim.selector, privateKey: key } }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    try {
      await transport.sendMail({
        from: { name: 'Gatehouse', address: from },
        to: { name: '', address: to },
        subject: subjectOf(message),
        text: textOf(message),
        html: htmlOf(message),
        messageId: `<${id}@${new URL(tools.publicUrl).hostname}>`,
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
      });
    } catch (error) {
      const { responseCode, message: said } = error as Error & { responseCode?: number };
      // A server that refuses a mail may say which address in it.
      const words = link ? said.replaceAll(link.token.reveal(), '…') : said;
      throw responseCode !== undefined && responseCode >= 500 ? new NotDeliverable(words) : new Error(words);
    } finally {
      transport.close();
      connection.destroy();
    }
  }

  return {
    recipients: (_, people) => [...people],
    async send(message, { id, recipient }) {
      if (!recipient.includes('@')) throw new NotDeliverable('a mail needs somebody to go to; try it as a person');
      await send(message, recipient, id);
      return null;
    },
  };
}

/** Connected to the address that was checked, as all that goes out. */
function open(host: string, port: number, allowPrivate: boolean): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (isIP(host) !== 0) checkAddress(host, host, allowPrivate);
    const socket = connect({ host, port, lookup: guardedLookup(allowPrivate), timeout: TIMEOUT_MS });
    socket.once('connect', () => resolve(socket.setTimeout(0)));
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error(`${host} does not answer`)));
  });
}

/** Words of ours and names of tools and agents, on one line. */
const subjectOf = ({ event, heading }: Message) =>
  `${event === 'asked' ? 'Approval needed: ' : ''}${heading}`.replaceAll(/\s+/g, ' ').slice(0, 150).toWellFormed();

function textOf({ event, heading, facts, arguments: args, url, expiresAt }: Message): string {
  return [
    heading,
    '',
    ...facts.map(([label, value]) => `${label}: ${value.replaceAll('\n', '\n  ')}`),
    ...(args === null ? [] : ['Arguments, as the agent gave them:', ...args.split('\n').map((line) => `  ${line}`)]),
    '',
    ...(event === 'asked' ? [`Sign in and decide here, until ${new Date(expiresAt ?? 0).toISOString()}:`, url] : []),
    '',
    'Gatehouse never asks for a password or a code by mail.',
  ].join('\n');
}

const escapeHtml = (text: string) => text.replaceAll(/[&<>"'`]/g, (char) => `&#${char.codePointAt(0)};`);

function htmlOf({ event, heading, facts, arguments: args, url, expiresAt }: Message): string {
  const rows = facts.map(
    ([label, value]) => `<tr><th align="left">${escapeHtml(label)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return [
    '<!doctype html><html><head><meta charset="utf-8"><meta name="format-detection" content="telephone=no,date=no,address=no,email=no,url=no"></head><body>',
    `<p><strong>${escapeHtml(heading)}</strong></p>`,
    rows.length > 0 ? `<table cellpadding="4">${rows.join('')}</table>` : '',
    args === null ? '' : `<p>Arguments, as the agent gave them:</p><pre>${escapeHtml(args)}</pre>`,
    event === 'asked'
      ? `<p><a href="${escapeHtml(url)}">Sign in and decide</a> until ${new Date(expiresAt ?? 0).toISOString()}.</p>`
      : '',
    '<p>Gatehouse never asks for a password or a code by mail.</p></body></html>',
  ].join('');
}
