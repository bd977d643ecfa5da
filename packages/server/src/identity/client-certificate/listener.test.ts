import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent as HttpsAgent, request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import {
  connectionLimits,
  createLog,
  openIdentityFiles,
  openListener,
  openOwnIdentity,
  type RenewedIdentity,
} from '../../platform/index.ts';
import { type Authority, createAuthority } from './testing/authority.ts';

/** @proves mtls.server-certificate */
let authority: Authority;
let directory: string;
const lines: string[] = [];
const log = createLog('debug', (line) => lines.push(line));

before(async () => {
  authority = await createAuthority('front.test');
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-listener-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

const issue = async () => {
  const { cert, key, thumbprint } = await authority.issue({ dns: ['localhost'] });
  return { certificate: cert, key, thumbprint };
};
const answer = (_request: unknown, response: { end(text: string): void }) => response.end('here');

async function write(parts: { certificate?: string; key?: string }) {
  const files = { certificateFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
  if (parts.certificate) writeFileSync(files.certificateFile, parts.certificate);
  if (parts.key) writeFileSync(files.keyFile, parts.key);
  return files;
}

/** The thumbprint of what a new connection is shown. */
function shownAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.root }, () => {
      const shown = socket.getPeerCertificate().fingerprint256.replaceAll(':', '');
      resolve(Buffer.from(shown, 'hex').toString('base64url'));
      socket.end();
    });
    socket.once('error', reject);
  });
}

/** Requests over one connection for as long as it lives. */
function lasting(port: number) {
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1, ca: authority.root });
  const ports = new Set<number | undefined>();
  return {
    ports,
    close: () => agent.destroy(),
    get: () =>
      new Promise<string>((resolve, reject) => {
        const sent = request({ agent, port, host: '127.0.0.1', servername: 'localhost' }, (response) => {
          ports.add(response.socket.localPort);
          response.setEncoding('utf8').on('data', resolve);
        });
        sent.once('error', reject).end();
      }),
  };
}

test('new certificate files are seen without being told, and half of a pair changes nothing', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const [first, second, third] = [await issue(), await issue(), await issue()];
  const files = await write(first);
  const tls = { identity: openIdentityFiles(files, log), clientCertificates: false };
  const listener = await openListener({ host: '127.0.0.1', port: 0, tls }, answer);
  t.after(() => listener.close());
  const { port } = listener.address;
  assert.equal(await shownAt(port), first.thumbprint);
  const client = lasting(port);
  t.after(client.close);
  assert.equal(await client.get(), 'here');

  await write({ certificate: second.certificate });
  t.mock.timers.tick(connectionLimits.certificateCheckMs);
  await new Promise(setImmediate);
  assert.equal(await shownAt(port), first.thumbprint);
  assert.ok(lines.some((line) => line.includes('could not be read again')));
  await write({ key: second.key });
  t.mock.timers.tick(connectionLimits.certificateCheckMs);
  await new Promise(setImmediate);
  assert.equal(await shownAt(port), second.thumbprint);

  await write(third);
  await listener.refresh();
  assert.equal(await shownAt(port), third.thumbprint);
  assert.equal(await client.get(), 'here');
  assert.equal(client.ports.size, 1, 'a connection lives on under the certificate that it was made with');
});

describe('a certificate of our own', () => {
  test('is made again when it is due, for new connections, while clients stay', async (t) => {
    let now = 0;
    const made: (RenewedIdentity & { thumbprint: string })[] = [];
    const make = async () => {
      const dueAt = now + 1_000;
      const next = { ...(await issue()), isDue: () => now >= dueAt };
      made.push(next);
      return next;
    };
    const identity = await openOwnIdentity(make, { log });
    const listener = await openListener(
      { host: '127.0.0.1', port: 0, tls: { identity, clientCertificates: true } },
      answer,
    );
    t.after(() => listener.close());
    const { port } = listener.address;
    const client = lasting(port);
    t.after(client.close);
    assert.equal(await client.get(), 'here');
    now = 999;
    await listener.refresh();
    assert.equal(made.length, 1);
    now = 1_000;
    await listener.refresh();
    assert.equal(made.length, 2);
    assert.equal(await shownAt(port), made[1]?.thumbprint);
    assert.equal(await client.get(), 'here');
    assert.equal(client.ports.size, 1);
  });

  test('stays when the next cannot be made, and is tried again', async () => {
    let fails = false;
    const make = async () => {
      if (fails) throw new Error('the database is away');
      return { ...(await issue()), isDue: () => true };
    };
    const identity = await openOwnIdentity(make, { log });
    const before = identity.current.certificate;
    fails = true;
    assert.equal(await identity.refresh(), false);
    assert.equal(identity.current.certificate, before);
    fails = false;
    assert.equal(await identity.refresh(), true);
    assert.notEqual(identity.current.certificate, before);
  });
});

test('who opens a connection and never speaks TLS is cut off', async (t) => {
  const tls = { identity: { current: await issue(), refresh: async () => false }, clientCertificates: true };
  const listener = await openListener({ host: '127.0.0.1', port: 0, tls }, answer);
  t.after(() => listener.close());
  const socket = connectTcp(listener.address.port, '127.0.0.1');
  await new Promise<void>((resolve) => {
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
  });
});
