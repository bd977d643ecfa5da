import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Operator } from '@gatehouse/sdk';
import { freePort } from '../support/free-port.ts';
import { applyTo, createCaller, type McpCaller, operatorOf } from './house.ts';
import { readSeen } from './journal.ts';
import { createReplica, type Replica } from './replica.ts';
import { sceneManifests, startUpstream } from './scene.ts';

export interface Member {
  replica: Replica;
  operator: Operator;
  caller: McpCaller;
}

/** Replicas of one Gatehouse on one PostgreSQL database, behind one public address. */
export interface Replicas {
  publicUrl: string;
  members: [Member, Member, ...Member[]];
  /** Whom the public address leads to from now on. */
  lead(to: Member): void;
  seen(): string[];
  /** Called at each call that the upstream sees. Gives the way to stop. */
  onCall(listener: () => void): () => void;
  upstreamUrl: string;
  close(): Promise<void>;
}

/**
 * `databases`: the same database for each replica, by whatever way it reaches it. The others are given the keys of the first, which
 * is all that replicas share besides the database and the public URL.
 */
export async function startReplicas(databases: [string, string, ...string[]]): Promise<Replicas> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'gatehouse-replicas-')));
  const log = join(directory, 'upstream.log');
  const upstream = await startUpstream(log);
  const balancer = await startBalancer();
  const publicUrl = `http://localhost:${balancer.port}`;
  const replicas: Replica[] = [];
  const callers: McpCaller[] = [];

  async function member(name: string, database: string): Promise<Member> {
    const [dataDir, port] = [join(directory, name), await freePort()];
    mkdirSync(dataDir, { mode: 0o700 });
    const [first] = replicas;
    if (first) cpSync(join(first.config.dataDir, 'keys'), join(dataDir, 'keys'), { recursive: true });
    const config = {
      dataDir,
      database,
      host: '127.0.0.1',
      port,
      publicUrl,
      trustDomain: 'example.test',
      replica: name,
    };
    const replica = createReplica(config);
    replicas.push(replica);
    await replica.start();
    const address = `http://127.0.0.1:${port}`;
    const caller = createCaller(publicUrl, address, 64);
    callers.push(caller);
    return { replica, operator: operatorOf(address, dataDir), caller };
  }

  async function close(): Promise<void> {
    for (const caller of callers) await caller.close();
    for (const replica of replicas) await replica.kill();
    balancer.close();
    upstream.process.kill();
    rmSync(directory, { recursive: true, force: true });
  }
  try {
    const first = await member('a', databases[0]);
    const second = await member('b', databases[1]);
    const members: Replicas['members'] = [first, second];
    for (const [at, database] of databases.slice(2).entries())
      members.push(await member(String.fromCharCode('c'.charCodeAt(0) + at), database));
    balancer.lead(members[0].replica.config.port);
    await applyTo(members[0].operator, sceneManifests(upstream.url));
    return {
      publicUrl,
      members,
      lead: (to) => balancer.lead(to.replica.config.port),
      seen: () => readSeen([log]),
      onCall(listener) {
        upstream.process.on('message', listener);
        return () => void upstream.process.off('message', listener);
      },
      upstreamUrl: upstream.url,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Passes each request to the replica that leads, and keeps no connection open. */
async function startBalancer() {
  let target = 0;
  const server = createServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port: target, method, path, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, connection: 'close' });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    lead(port: number) {
      target = port;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
