import type { Clock, Log } from '../../platform/index.ts';
import { createConnection } from './connection.ts';
import { initialize, initialized, type LegacySpeaker, speakLegacy } from './era-2025-11-25.ts';
import { discover, speakModern } from './era-2026-07-28.ts';
import type { Channel, Counters } from './exchange.ts';
import { createExchanges, type Exchanges } from './exchanges.ts';
import type { HttpCaller } from './http/call.ts';
import { createHttpChannel } from './http/channel.ts';
import type { UpstreamLimits } from './limits.ts';
import { createStdioChannel } from './stdio/channel.ts';
import type { Launch } from './stdio/launch.ts';
import { type Era, type UpstreamClient, type UpstreamConnection, UpstreamFailure } from './types.ts';

export interface ConnectOptions {
  client: UpstreamClient;
  /** Several tasks use the connection. */
  shared: boolean;
  /** Takes what was injected out of a text that the server says. */
  hide?: ((text: string) => string) | undefined;
  /** The era that this server was last found to be of. */
  era: Era | undefined;
  limits: UpstreamLimits;
  counters: Counters;
  log: Log;
  clock: Clock;
}

export interface Connected {
  connection: UpstreamConnection;
  inFlight(): number;
  /** Answers so far, those of the handshake among them. */
  answers(): number;
  /** Somebody listens or watches. */
  isWatched(): boolean;
}

/** Throws UpstreamFailure `unreachable`. */
export async function connectHttp(
  callHttp: HttpCaller,
  { url, txnToken }: { url: URL; txnToken: boolean },
  options: ConnectOptions,
): Promise<Connected> {
  const { client, limits, log } = options;
  const exchanges = createExchanges({ ...options, onServerRequest: client.onServerRequest });
  let speaker: LegacySpeaker | undefined;
  const shakeHands = async () => {
    const negotiated = await initialize(exchanges, client, AbortSignal.timeout(limits.connectTimeoutMs));
    channel.useVersion(negotiated.protocolVersion);
    await channel.send(initialized);
    return negotiated;
  };
  const channel = createHttpChannel({
    callHttp,
    url,
    txnToken,
    exchanges,
    limits,
    log,
    async renew() {
      try {
        await shakeHands();
        if (exchanges.hasListeners()) void channel.listen();
        await speaker?.restore();
      } catch (failure) {
        await giveUp(exchanges, channel, failure);
        throw failure;
      }
    },
  });
  exchanges.useChannel(channel);
  try {
    if (options.era !== '2025-11-25') {
      const modern = await probeHttp(exchanges, options);
      if (modern !== undefined) {
        exchanges.useEra('2026-07-28');
        return connected(
          exchanges,
          createConnection(exchanges, channel, modern, speakModern(exchanges, client, options)),
        );
      }
    }
    const negotiated = await shakeHands();
    speaker = speakLegacy(exchanges, channel);
    // The server may ask for something before anybody calls it.
    if (Object.keys(client.capabilities).length > 0) void channel.listen();
    return connected(exchanges, createConnection(exchanges, channel, negotiated, speaker));
  } catch (failure) {
    await giveUp(exchanges, channel, failure);
    throw unreachable(failure);
  }
}

/** A server of the earlier era refuses the probe in whatever way it likes; one that is down or wants a login is not asked twice. */
async function probeHttp(exchanges: Exchanges, { client, limits }: ConnectOptions) {
  try {
    return await discover(exchanges, client, AbortSignal.timeout(limits.connectTimeoutMs));
  } catch (failure) {
    if (!(failure instanceof UpstreamFailure) || failure.kind !== 'refused') throw failure;
    const { status = 0 } = failure;
    if (status === 401 || status === 403 || status === 429 || status >= 500) throw failure;
    return undefined;
  }
}

/** Throws UpstreamFailure `unreachable`. */
export async function connectStdio(
  launch: Launch,
  options: ConnectOptions & { onProcess(change: 1 | -1): void },
): Promise<Connected> {
  const { client, limits } = options;
  const exchanges = createExchanges({ ...options, onServerRequest: client.onServerRequest });
  options.onProcess(1);
  const channel = createStdioChannel(launch, exchanges, { ...options, onExit: () => options.onProcess(-1) });
  exchanges.useChannel(channel);
  try {
    if (options.era !== '2025-11-25') {
      const modern = await probeStdio(exchanges, options);
      if (modern !== undefined) {
        exchanges.useEra('2026-07-28');
        return connected(
          exchanges,
          createConnection(exchanges, channel, modern, speakModern(exchanges, client, options)),
        );
      }
    }
    const negotiated = await initialize(exchanges, client, AbortSignal.timeout(limits.connectTimeoutMs));
    await channel.send(initialized);
    return connected(exchanges, createConnection(exchanges, channel, negotiated, speakLegacy(exchanges, channel)));
  } catch (failure) {
    await giveUp(exchanges, channel, failure);
    const diedOfProbe = failure instanceof UpstreamFailure && failure.kind === 'lost' && options.era === undefined;
    if (diedOfProbe) return connectStdio(launch, { ...options, era: '2025-11-25' });
    throw unreachable(failure);
  }
}

/** A stdio server of the earlier era may answer anything, nothing, or die. */
async function probeStdio(exchanges: Exchanges, { client, limits }: ConnectOptions) {
  try {
    return await discover(exchanges, client, AbortSignal.timeout(limits.probeTimeoutMs));
  } catch (failure) {
    if (failure instanceof UpstreamFailure && failure.kind === 'aborted') return undefined;
    throw failure;
  }
}

function connected(exchanges: Exchanges, connection: UpstreamConnection): Connected {
  return { connection, inFlight: exchanges.inFlight, answers: exchanges.answers, isWatched: exchanges.hasListeners };
}

async function giveUp(exchanges: Exchanges, channel: Channel, failure: unknown): Promise<void> {
  const detail = failure instanceof Error ? failure.message : 'The server could not be reached.';
  exchanges.end(new UpstreamFailure('lost', detail));
  await channel.close(detail);
}

function unreachable(failure: unknown): unknown {
  if (!(failure instanceof UpstreamFailure)) return failure;
  const { message, status } = failure;
  const detail = failure.kind === 'aborted' ? 'The server did not answer in time.' : message;
  return new UpstreamFailure('unreachable', detail, { mayHaveRun: false, status, cause: failure });
}
