import { generateKeyPairSync, hash, randomFillSync, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { GatehouseError, newId } from '../../platform/index.ts';
import type { RecordGuarded } from '../../storage/index.ts';
import { whyStopped } from '../tokens/authenticate.ts';
import { checkChain, guardsOf } from '../tokens/chain.ts';
import { signCompactJws } from '../tokens/jws.ts';
import type { Authorities } from './authorities.ts';
import type { Authority } from './authority-rows.ts';
import { readCsr } from './csr.ts';
import { type Leaf, type LeafIssuer, signLeaf } from './leaf.ts';
import { CLOCK_SKEW_MS, RENEWAL_MS, SVID_MAX_TTL_MS, trustDomainLimits } from './limits.ts';
import { GATEHOUSE_PATH, spiffeIdOf, toolsIdOf } from './spiffe-id.ts';
import type { TrustDomainDependencies } from './trust-domain.ts';
import type { IssuedJwt, IssuedX509, IssueForTools, IssueJwt, IssueX509, SvidSubject, TrustDomain } from './types.ts';

/**
 * The one place where SVIDs are made. INVARIANT: an SVID is recorded, durably, before it leaves; and the record is written only if
 * the agent and the task are still as they were when it was decided (their fences), so that a kill that has returned is seen here
 * whatever this replica's snapshot says (law 6). The write is one of the group-committing writer's, which keeps it cheap.
 */
export function createIssuer(
  dependencies: TrustDomainDependencies & { authorities: Authorities; jwtSigner: JwtSigner },
): Pick<TrustDomain, 'issueX509' | 'issueForTools' | 'issueJwt' | 'serverSvid'> {
  const { authorities, clock, trustDomain, recordGuarded, jwtSigner } = dependencies;

  const sign = (leaf: Omit<Leaf, 'notBefore' | 'serial'>, epoch: number, provenAt: number): IssuedX509 => {
    const signer = authorities.signer();
    const notAfter = seconds(Math.min(leaf.notAfter, signer.notAfter));
    const notBefore = Math.max(clock.now() - CLOCK_SKEW_MS, signer.certificate.validFromDate.getTime());
    const der = signLeaf({ ...leaf, notAfter, notBefore, serial: serialOf(epoch, provenAt) }, issuerOf(signer));
    return { spiffeId: leaf.uri, chain: [der, signer.der], notAfter, thumbprint: hash('sha256', der, 'base64url') };
  };

  return {
    async issueX509({ subject, csr, via, provenAt = clock.now() }: IssueX509) {
      const { spki } = readCsr(csr);
      const grounds = groundsOf(dependencies, subject);
      await authorities.ensure();
      const notAfter = endOf(clock.now(), SVID_MAX_TTL_MS, grounds, provenAt);
      const issued = sign({ spki, uri: spiffeIdOf(subject), notAfter }, grounds.epoch, provenAt);
      if (issued.notAfter <= clock.now()) throw overdue(authorities.signer().notAfter);
      await record(recordGuarded, grounds, issued.spiffeId, [
        `X.509-SVID ${issued.thumbprint} until ${new Date(issued.notAfter).toISOString()}, via ${via}, epoch ${grounds.epoch}`,
      ]);
      return issued;
    },
    async issueForTools(issue: IssueForTools) {
      const grounds = await toolsGroundsOf(dependencies, issue);
      await authorities.ensure();
      const now = clock.now();
      const notAfter = endOf(now, Math.min(SVID_MAX_TTL_MS, issue.expiresAt - now), grounds, now);
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const spki = publicKey.export({ type: 'spki', format: 'der' });
      const issued = sign({ spki, uri: toolsIdOf(trustDomain, issue), notAfter }, grounds.epoch, now);
      if (issued.notAfter <= now) throw overdue(authorities.signer().notAfter);
      await record(recordGuarded, grounds, issued.spiffeId, [
        `X.509-SVID ${issued.thumbprint} until ${new Date(issued.notAfter).toISOString()}, for tools, via ${issue.provider}`,
      ]);
      return {
        ...{ spiffeId: issued.spiffeId, notAfter: issued.notAfter },
        chain: issued.chain.map((each) => new X509Certificate(each).toString()).join(''),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
    async issueJwt({ subject, audience, via, ttlSeconds = trustDomainLimits.jwtSvidTtlSeconds, provenAt }: IssueJwt) {
      checkAudience(audience);
      const grounds = groundsOf(dependencies, subject);
      const now = clock.now();
      const life = Math.min(ttlSeconds, trustDomainLimits.jwtSvidMaxTtlSeconds) * 1000;
      const end = seconds(endOf(now, life, grounds, provenAt ?? now));
      const sub = spiffeIdOf(subject);
      const { kid, key } = jwtSigner();
      const claims = {
        sub,
        aud: audience,
        exp: end / 1000,
        iat: Math.floor(now / 1000),
        jti: newId('cred', now),
        gatehouse: { ['agent' in subject ? 'agent_epoch' : 'workload_epoch']: grounds.epoch },
      };
      const token = signCompactJws({ alg: 'ES256', kid, typ: 'JWT' }, claims, key);
      await record(recordGuarded, grounds, sub, [
        `JWT-SVID ${claims.jti} for ${audience.join(' and ')} until ${new Date(end).toISOString()}, via ${via}, epoch ${grounds.epoch}`,
      ]);
      return { spiffeId: sub, token, expiresAt: end } satisfies IssuedJwt;
    },
    async serverSvid(names) {
      await authorities.ensure();
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const spki = publicKey.export({ type: 'spki', format: 'der' });
      const [dns, ips] = [names.filter((each) => isIP(each) === 0), names.filter((each) => isIP(each) !== 0)];
      const leaf = {
        spki,
        uri: `spiffe://${trustDomain}${GATEHOUSE_PATH}`,
        dns,
        ips: ips.map(addressBytes),
        notAfter: clock.now() + SVID_MAX_TTL_MS,
      };
      const issued = sign(leaf, 0, clock.now());
      const isSigned = () => issued.chain.slice(1).every((each) => authorities.isKnown(each));
      return { ...issued, privateKey, isSigned };
    },
  };
}

export type JwtSigner = () => { kid: string; key: Parameters<typeof signCompactJws>[2] };

/** What an SVID rests on; it is not made unless all of it still stands when it is recorded. */
interface Grounds {
  guards: { key: string; version: number }[];
  /** Milliseconds since the epoch. */
  end: number;
  epoch: number;
  agent?: string;
  task?: string;
  environment: string;
}

function groundsOf({ registry, storage, clock }: TrustDomainDependencies, subject: SvidSubject): Grounds {
  if (!storage.feed.fresh())
    throw new GatehouseError(
      'unavailable',
      'feed.stale',
      'This replica has lost touch with the workspace and lets nobody in. Try again, or another replica.',
    );
  const snapshot = registry.snapshot();
  if ('workload' in subject)
    return {
      guards: subject.guards,
      end: Number.MAX_SAFE_INTEGER,
      epoch: subject.workload.epoch,
      environment: subject.workload.manifest.environment,
    };
  const { name } = subject.agent;
  const agent = snapshot.agents.get(name);
  if (!agent || agent.epoch !== subject.agent.epoch) throw changed(`agent:${name}`);
  const stopped = whyStopped(agent);
  if (stopped) throw new GatehouseError('forbidden', stopped.code, stopped.message);
  const { task } = subject;
  if (task && (task.agent !== name || task.state !== 'active' || task.suspended || task.expiresAt <= clock.now()))
    throw over(task.id);
  if (task) checkChain(task, snapshot);
  return {
    guards: guardsOf(snapshot, name, task),
    end: task?.expiresAt ?? Number.MAX_SAFE_INTEGER,
    epoch: agent.epoch,
    agent: name,
    ...(task && { task: task.id }),
    environment: agent.manifest.environment,
  };
}

async function toolsGroundsOf(
  dependencies: TrustDomainDependencies,
  { environment, agent, task }: IssueForTools,
): Promise<Grounds> {
  if (agent === '') return { guards: [], end: Number.MAX_SAFE_INTEGER, epoch: 0, environment };
  const { registry } = dependencies;
  const known = registry.snapshot().agents.get(agent);
  if (!known) throw changed(`agent:${agent}`);
  const running = await registry.task(task);
  if (!running) throw over(task);
  return groundsOf(dependencies, { agent: known, task: running });
}

async function record(recordGuarded: RecordGuarded, grounds: Grounds, by: string, changes: string[]): Promise<void> {
  const { guards, agent, task, environment } = grounds;
  let written: Awaited<ReturnType<RecordGuarded>>;
  try {
    const change = {
      operation: 'svid.issue',
      by,
      ...(agent && { agent }),
      ...(task && { task }),
      environment,
      changes,
    };
    written = await recordGuarded(change, guards);
  } catch (cause) {
    throw new GatehouseError(
      'unavailable',
      'svid.not-recorded',
      'The SVID could not be recorded, so it was not made.',
      {
        cause,
      },
    );
  }
  if (written.ok) return;
  if (written.failed === `task:${task}`) throw over(task as string);
  throw changed(written.failed);
}

/** INVARIANT: however often an SVID is got with the one before, none of them outlives what was proven first by this much. */
function endOf(now: number, lifeMs: number, { end }: Grounds, provenAt: number): number {
  const last = provenAt + RENEWAL_MS;
  // Certificates count in whole seconds: one of less is none.
  if (last < now + 1_000)
    throw new GatehouseError(
      'forbidden',
      'svid.prove-again',
      `It is ${trustDomainLimits.svidRenewalSeconds / 3_600} hours since you have proven yourself with anything but an SVID, which is the longest that SVIDs are renewed with each other. Prove yourself with your key (clientAssertion in the body), an access token or an outside proof; then SVIDs are renewed again.`,
    );
  return Math.min(now + lifeMs, end, last);
}

/** Certificates and tokens count in whole seconds; rounding must never lengthen. */
const seconds = (ms: number) => Math.floor(ms / 1000) * 1000;

function issuerOf({ leafIssuer }: Authority): LeafIssuer {
  if (!leafIssuer) throw new Error('an intermediate without a key cannot sign');
  return leafIssuer;
}

/**
 * RFC 5280 §4.1.2.2: positive and unique, at most 20 bytes; 8 of them random. In front stand the agent's epoch, so that an SVID from before a
 * kill is known as such from itself, and when what it rests on was proven, in seconds since the epoch.
 */
function serialOf(epoch: number, provenAt: number): Buffer {
  const serial = Buffer.alloc(20);
  serial[0] = 0x02;
  serial.writeUIntBE(epoch, 1, 6);
  serial.writeUIntBE(Math.floor(provenAt / 1_000), 7, 5);
  randomFillSync(serial, 12);
  return serial;
}

/** What the serial number of one of our own SVIDs says; undefined for those of other versions. */
export function readSerial(serial: Buffer): { epoch: number; provenAt: number } | undefined {
  if (serial.length !== 20 || serial[0] !== 0x02) return undefined;
  return { epoch: serial.readUIntBE(1, 6), provenAt: serial.readUIntBE(7, 5) * 1_000 };
}

const MAX_AUDIENCE_CHARS = 1_024;

/** JWT-SVID §3.2: an audience is required. One is best: whoever gets the token could use it at the others. */
function checkAudience(audience: string[]): void {
  const most = trustDomainLimits.jwtSvidAudiences;
  if (
    audience.length > 0 &&
    audience.length <= most &&
    audience.every((each) => each !== '' && each.length <= MAX_AUDIENCE_CHARS)
  )
    return;
  throw new GatehouseError(
    'bad-request',
    'svid.audience',
    `A JWT-SVID is for 1 to ${most} audiences of at most ${MAX_AUDIENCE_CHARS} characters.`,
  );
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail)];
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** `fence` names it: `agent:NAME`, `person:EMAIL`, `workload:NAME`, `trust-rule:NAME`. */
function changed(fence: string): GatehouseError {
  const [kind = '', name = ''] = fence.split(/:(.*)/s);
  const what =
    { agent: 'Agent', person: 'The person', workload: 'The workload', 'trust-rule': 'The trust rule' }[kind] ??
    'What it rests on,';
  return new GatehouseError(
    'conflict',
    `${kind}.changed`,
    `${what} ${name} was changed or stopped just now. Try again.`,
  );
}
const overdue = (end: number) =>
  new GatehouseError(
    'unavailable',
    'trust-domain.authority-expired',
    `No SVID can be made: the intermediate that signs is good until ${new Date(end).toISOString()}. An operator replaces it: gatehouse trust-domain rotate, or request-intermediate where the root is held elsewhere.`,
  );
const over = (task: string) => new GatehouseError('gone', 'task.over', `Task ${task} is over: start a new one.`);
