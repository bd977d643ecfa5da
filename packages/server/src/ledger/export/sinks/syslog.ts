import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { checkAddress, guardedLookup } from '../../../platform/index.ts';
import { DeliveryFailure, type Destination, type Encoded, type SinkOf, type Tools } from '../types.ts';

/** Severities of syslog by ours. */
const severities = [6, 6, 5, 4, 3, 2];
const MAX_HOST_CHARS = 255;
const MAX_PROCESS_CHARS = 128;
const MAX_SEQUENCE_ID = 2_147_483_647;

/**
 * Syslog (RFC 5424) over TLS (RFC 5425) or TCP (RFC 6587), messages with their length in front, so that nothing in one can begin another.
 * Syslog acknowledges nothing. So each batch has a connection of its own, and counts when the receiver has read it to the end and closed in
 * order: a receiver that dies before resets the connection.
 */
export function syslog(sink: SinkOf<'syslog'>, tools: Tools): Destination {
  const open = new Set<Socket>();
  return {
    async send(batch, signal) {
      const socket = await connect(sink, tools);
      open.add(socket);
      const frames = Buffer.concat(batch.map((record) => frameOf(record, sink.to.facility, tools.version)));
      try {
        await hand(socket, frames, sink, signal);
      } catch (cause) {
        throw new DeliveryFailure('retry', `${hostOf(sink)}: ${(cause as Error).message}`, { cause });
      } finally {
        open.delete(socket);
        socket.destroy();
      }
      return { refused: new Map() };
    },
    async close() {
      for (const socket of open) socket.destroy();
    },
  };
}

const hostOf = ({ to }: SinkOf<'syslog'>) => new URL(to.url).host;

async function connect(sink: SinkOf<'syslog'>, tools: Tools): Promise<Socket> {
  const { protocol, hostname, port, host } = new URL(sink.to.url);
  const isPlain = protocol === 'tcp:';
  const { clientCertificate } = sink.to;
  const key = clientCertificate && (await tools.openSecret(clientCertificate.keySecret, `https://${host}`));
  const name = hostname.replace(/^\[|\]$/g, '');
  try {
    if (isIP(name) !== 0) checkAddress(name, name, sink.allowPrivateAddress, isPlain);
  } catch (cause) {
    throw new DeliveryFailure('retry', (cause as Error).message, { cause });
  }
  const where = { host: name, port: Number(port), lookup: guardedLookup(sink.allowPrivateAddress, isPlain) };
  const options: ConnectionOptions = {
    ...where,
    ...(isIP(name) === 0 && { servername: name }),
    minVersion: 'TLSv1.2',
    ...(sink.ca !== undefined && { ca: sink.ca }),
    ...(clientCertificate && key && { cert: clientCertificate.certificate, key: key.reveal() }),
  };
  return new Promise((resolve, reject) => {
    const socket = isPlain ? connectPlain(where) : connectTls(options);
    const fail = (message: string, cause?: unknown) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new DeliveryFailure('retry', `${host}: ${message}`, { cause }));
    };
    const timer = setTimeout(() => fail(`no connection within ${sink.timeoutMs} ms`), sink.timeoutMs);
    socket.once('error', (error) => fail(error.message, error));
    socket.once(isPlain ? 'connect' : 'secureConnect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/** Writes, says that this is all, and waits until the other side has closed as well. */
function hand(socket: Socket, bytes: Buffer, { to, timeoutMs }: SinkOf<'syslog'>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      if (error) reject(error);
      else resolve();
    };
    const stop = () => done(new Error('the delivery was stopped'));
    const timer = setTimeout(
      () =>
        done(
          new Error(
            `it has not read and closed within ${timeoutMs} ms (a receiver that never closes needs confirm: written)`,
          ),
        ),
      timeoutMs,
    );
    signal.addEventListener('abort', stop);
    const early = () => new Error('it closed before it had read all');
    let ended = false;
    socket.on('error', done);
    socket.once('end', () => {
      ended = true;
      done(socket.writableFinished ? undefined : early());
    });
    socket.once('close', () => done(ended ? undefined : early()));
    socket.resume();
    socket.end(bytes, () => {
      if (to.confirm === 'written') done();
    });
  });
}

/** `MSG-LEN SP SYSLOG-MSG` (RFC 6587 §3.4.1). */
export function frameOf(record: Encoded, facility: number, version: string): Buffer {
  const message = Buffer.from(messageOf(record, facility, version));
  return Buffer.concat([Buffer.from(`${message.byteLength} `), message]);
}

export function messageOf(record: Encoded, facility: number, version: string): string {
  const { at, log, replica, severity, sequence, isJson, text } = record;
  const header = [
    `<${facility * 8 + (severities[severity] ?? 6)}>1`,
    new Date(at).toISOString(),
    printable(log.split('/')[0] ?? '', MAX_HOST_CHARS),
    'gatehouse',
    printable(replica, MAX_PROCESS_CHARS),
    'record',
  ].join(' ');
  const structured = `[origin software="gatehouse" swVersion="${parameter(version)}"][meta sequenceId="${(sequence % MAX_SEQUENCE_ID) + 1}"]`;
  return `${header} ${structured} ${isJson ? ascii(text) : withMark(text)}`;
}

/** PRINTUSASCII, or the nil value. */
const printable = (text: string, most: number) => text.replace(/[^\x21-\x7e]/g, '').slice(0, most) || '-';

/** RFC 5424 §6.3.3. */
const parameter = (text: string) => text.replace(/["\\\]]/g, '\\$&');

/** JSON says the same in ASCII, and then no receiver has to know the encoding. */
const ascii = (json: string) =>
  json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** What is not ASCII is UTF-8, which the byte order mark says (RFC 5424 §6.4). */
const withMark = (text: string) => (/^[\x20-\x7e]*$/.test(text) ? text : `\ufeff${text}`);
