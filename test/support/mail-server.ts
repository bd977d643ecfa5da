import { SMTPServer } from 'smtp-server';
import { createAuthority } from '../../packages/server/src/identity/client-certificate/testing/authority.ts';

export interface ReceivedMail {
  from: string;
  to: string[];
  /** As it came, with its quoted-printable lines joined. */
  raw: string;
  secure: boolean;
  user: string;
}

/** A real SMTP server with TLS. Nobody lives at addresses that begin with `gone`; what it refuses for its words it quotes, as servers do. */
export async function startMailServer({ refuses }: { refuses?: (mail: ReceivedMail) => string | undefined } = {}) {
  const authority = await createAuthority('mail.test');
  const { cert, key } = await authority.issue({ dns: ['localhost'] });
  const mails: ReceivedMail[] = [];
  const smtp = new SMTPServer({
    cert,
    key,
    onAuth: ({ username, password }, _, done) =>
      password === 'mail-s3cret' ? done(null, { user: username }) : done(new Error('wrong password')),
    onRcptTo: ({ address }, _, done) => done(address.startsWith('gone') ? rejected('no such mailbox') : null),
    onData(stream, session, done) {
      let raw = '';
      stream.on('data', (chunk: Buffer) => {
        raw += chunk.toString('utf8');
      });
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        const mail = {
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          raw: raw.replaceAll('=\r\n', '').replaceAll('=3D', '='),
          secure: session.secure,
          user: String(session.user),
        };
        mails.push(mail);
        const why = refuses?.(mail);
        done(why === undefined ? null : rejected(why));
      });
    },
  });
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', () => resolve()));
  const { port } = smtp.server.address() as { port: number };
  return {
    port,
    ca: authority.root,
    mails,
    close: () => new Promise<void>((resolve) => smtp.close(() => resolve())),
  };
}

function rejected(words: string) {
  const error: Error & { responseCode?: number } = new Error(words);
  error.responseCode = 550;
  return error;
}
