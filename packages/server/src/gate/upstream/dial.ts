import type { ToolServerManifest } from '@gatehouse/protocol';
import type { Pool } from 'undici';
import type { Clock, Log } from '../../platform/index.ts';
import { authorizedCaller, type UpstreamAuthorizations } from './authorization/index.ts';
import { type Connected, type ConnectOptions, connectHttp, connectStdio } from './connect.ts';
import { hiderOf } from './hide.ts';
import { callHttp, type HttpCaller } from './http/call.ts';
import { clientCertificateOf, injecting } from './http/injected.ts';
import { createPools } from './http/pools.ts';
import { keepsTxnToken } from './http/txn-token.ts';
import type { UpstreamLimits } from './limits.ts';
import { createLauncher, type Isolation } from './stdio/launch.ts';
import type { Era, UpstreamClient, UpstreamCredential, UpstreamScope } from './types.ts';

export interface DialerOptions {
  dataDir: string;
  log: Log;
  clock: Clock;
  /** Of an environment's manifest; an unknown environment counts as production. */
  isProduction(environment: string): boolean;
  /** What this machine may use to shut stdio servers in; the default is all that it has. */
  isolations?: Isolation[];
  /** Without it no server can be authorized at. */
  authorizations?: Pick<UpstreamAuthorizations, 'of'>;
}

/** Makes connections to tool servers, in the era that each last spoke: by HTTP, or by starting a process. */
export function createDialer(options: DialerOptions, limits: UpstreamLimits, counters: ConnectOptions['counters']) {
  const { clock } = options;
  const launcher = createLauncher(options);
  const pools = createPools(limits);
  const eras = new Map<string, Era>();
  let processes = 0;

  return {
    dial,
    /** Of one server, that is no more or another. */
    drop: pools.drop,
    close: pools.close,
    processes: () => processes,
  };

  async function dial(
    server: ToolServerManifest,
    scope: UpstreamScope,
    shared: boolean,
    client: UpstreamClient,
  ): Promise<Connected> {
    const hint = JSON.stringify([server.name, scope.environment, transportOf(server)]);
    const connectOptions: ConnectOptions = {
      client: shared ? { capabilities: {} } : client,
      hide: client.credential && hiderOf(client.credential.secrets),
      shared,
      era: eras.get(hint),
      limits,
      counters,
      clock,
      log: withServer(options.log, server.name, scope.task),
    };
    try {
      const connected = await connect(server, scope, shared, client.credential, connectOptions);
      eras.set(hint, connected.connection.era);
      return connected;
    } catch (failure) {
      // It may have become another server than it was.
      eras.delete(hint);
      throw failure;
    }
  }

  async function connect(
    server: ToolServerManifest,
    scope: UpstreamScope,
    shared: boolean,
    credential: UpstreamCredential | undefined,
    connectOptions: ConnectOptions,
  ): Promise<Connected> {
    const { transport } = server;
    if (transport.type === 'http') {
      const url = new URL(transport.url);
      const txnToken = transport.txnToken === true;
      const shown = clientCertificateOf(transport, credential);
      const own = shown && pools.own(server.name, transport, shown);
      const plain = callerFor(own ?? pools.of(server.name, scope.environment, transport), server, scope.environment);
      const caller = credential ? injecting(plain, credential, { url, transport, clock }) : plain;
      const connecting = connectHttp(txnToken ? keepsTxnToken(caller) : caller, { url, txnToken }, connectOptions);
      if (own) void closeAfter(own, connecting);
      return connecting;
    }
    const owner = shared ? `shared-${scope.environment}` : scope.task;
    const launch = await launcher.launch(server, scope.environment, owner, credential);
    const onProcess = (change: 1 | -1) => {
      processes += change;
    };
    return connectStdio(launch, { ...connectOptions, onProcess });
  }

  /** What the connection still has to say as it closes is said; then its sockets go. */
  async function closeAfter(pool: Pool, connecting: Promise<Connected>): Promise<void> {
    const closed = await connecting.then(
      ({ connection }) => connection.closed,
      () => AbortSignal.abort(),
    );
    if (!closed.aborted) await new Promise((resolve) => closed.addEventListener('abort', resolve));
    setTimeout(() => void pool.destroy(), 2 * limits.exitGraceMs).unref();
  }

  function callerFor(pool: Pool, server: ToolServerManifest, environment: string): HttpCaller {
    const authorizer = options.authorizations?.of(server, environment);
    return authorizer ? authorizedCaller(pool, authorizer, options.log) : (...call) => callHttp(pool, ...call);
  }
}

const transports = new WeakMap<ToolServerManifest, string>();

/** Manifests are never changed in place, and a hot path asks. */
export function transportOf(server: ToolServerManifest): string {
  let text = transports.get(server);
  if (text === undefined) {
    text = JSON.stringify(server.transport);
    transports.set(server, text);
  }
  return text;
}

function withServer(log: Log, server: string, task: string): Log {
  const wrap = (level: keyof Log) => (message: string, fields?: Record<string, unknown>) =>
    log[level](message, { server, task, ...fields });
  return { debug: wrap('debug'), info: wrap('info'), warn: wrap('warn'), error: wrap('error') };
}
