import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type * as Grpc from '@grpc/grpc-js';
import type { fromJSON } from '@grpc/proto-loader';
import type { ProveGateway } from '../../identity/index.ts';
import { connectionLimits, type IdentitySource, type Log, tlsOptions } from '../../platform/index.ts';
import { gatewayOf } from '../elsewhere/gateway.ts';
import { type CheckDependencies, type Checked, createCheck, problem } from './check.ts';
import { ambiguous, type CheckedRequest } from './checked-request.ts';
import { actionHeader } from './headers.ts';
import { extAuthzLimits } from './limits.ts';
import { authorizationProto, authorizationService } from './proto.ts';

/**
 * Envoy's external authorization over gRPC, on a port of its own that speaks mutual TLS and nothing else: the certificate of the connection says
 * which gateway asks.
 */
export interface ExtAuthzListener {
  address: { host: string; port: number };
  refresh(): Promise<void>;
  close(): void;
}

interface ListenDependencies extends CheckDependencies {
  proveGateway: ProveGateway;
  identity: IdentitySource;
  host: string;
  port: number;
  log: Log;
}

export async function listenExtAuthz(deps: ListenDependencies): Promise<ExtAuthzListener> {
  const { identity, log } = deps;
  // Here, since few have this port, and a start would wait for it.
  const [grpc, loader] = await Promise.all([import('@grpc/grpc-js'), import('@grpc/proto-loader')]);
  const check = createCheck(deps);
  // A peer's address and port name its connection for as long as that lives.
  const sockets = new Map<string, TLSSocket>();

  const server = new grpc.Server({
    'grpc.max_receive_message_length': extAuthzLimits.messageBytes,
    'grpc.max_concurrent_streams': extAuthzLimits.streamsPerConnection,
  });
  server.addService(serviceOf(loader), {
    Check(call: Grpc.ServerUnaryCall<CheckRequest, object>, callback: Grpc.sendUnaryData<object>) {
      const socket = sockets.get(call.getPeer());
      answer(socket, call.request).then(
        (checked) => callback(null, responseOf(checked)),
        (error: unknown) => {
          log.error('a check failed', { error });
          callback({ code: grpc.status.INTERNAL, details: 'Something failed inside Gatehouse.' });
        },
      );
    },
  });
  const connections = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());

  async function answer(socket: Socket | undefined, request: CheckRequest): Promise<Checked> {
    try {
      if (!socket) throw ambiguous('its connection is gone');
      const proven = await deps.proveGateway({ socket }, { at: `gRPC ${authorizationService}` });
      return await check(gatewayOf(proven), checkedRequestOf(request));
    } catch (error) {
      return problem(error);
    }
  }

  const pem = () => ({ cert: identity.current.certificate, key: identity.current.key });
  const listener = createServer(
    { ...pem(), ...tlsOptions, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['h2'] },
    (socket) => {
      const name = `${socket.remoteAddress}:${socket.remotePort}`;
      sockets.set(name, socket);
      socket.once('close', () => sockets.delete(name));
      socket.on('error', () => socket.destroy());
      if (socket.alpnProtocol === 'h2') connections.injectConnection(socket);
      else socket.destroy();
    },
  );
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(deps.port, deps.host, resolve);
  });
  const refresh = async () => {
    if (await identity.refresh()) listener.setSecureContext({ ...pem(), ...tlsOptions });
  };
  const timer = setInterval(
    () => refresh().catch((error) => log.error('the certificate could not be renewed', { error })),
    connectionLimits.certificateCheckMs,
  );
  timer.unref();
  const { address, port } = listener.address() as { address: string; port: number };
  return {
    address: { host: address, port },
    refresh,
    close() {
      clearInterval(timer);
      listener.close();
      connections.destroy();
      for (const socket of sockets.values()) socket.destroy();
      server.forceShutdown();
    },
  };
}

interface CheckRequest {
  attributes: {
    request: {
      http: {
        method: string;
        path: string;
        host: string;
        headers: Record<string, string>;
        header_map: { headers: { key: string; value: string; raw_value: Buffer }[] } | null;
        size: string;
        body: Buffer;
        raw_body: Buffer;
      } | null;
    } | null;
  } | null;
}

function serviceOf(loader: { fromJSON: typeof fromJSON }): Grpc.ServiceDefinition {
  const definition = loader.fromJSON(authorizationProto as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    longs: String,
    defaults: true,
  })[authorizationService];
  return definition as Grpc.ServiceDefinition;
}

function checkedRequestOf({ attributes }: CheckRequest): CheckedRequest {
  const http = attributes?.request?.http;
  if (!http) throw ambiguous('it is no HTTP request');
  const headers: Record<string, string> = {};
  const listed = (http.header_map?.headers ?? []).map(({ key, value, raw_value }): [string, string] => [
    key,
    raw_value.length > 0 ? raw_value.toString('latin1') : value,
  ]);
  for (const [key, value] of [...Object.entries(http.headers), ...listed]) {
    const name = key.toLowerCase();
    // Two of one name are one list; what may stand once does not verify as a list.
    headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  // As text Envoy replaces what is not UTF-8, and what is decided on would not be what is sent on.
  if (http.body.length > 0 && http.raw_body.length === 0)
    throw ambiguous('its body was sent as text: set with_request_body.pack_as_bytes: true');
  for (const [name, value] of [
    [':path', http.path],
    [':method', http.method],
  ] as const)
    if (headers[name] !== undefined && headers[name] !== value) throw ambiguous(`its ${name} is not what Envoy says`);
  if (Number(http.size) > http.raw_body.length) headers['content-length'] ??= http.size;
  return { method: http.method, path: http.path, host: http.host, headers, body: http.raw_body, isLengthKnown: true };
}

/** google.rpc.Code */
const codeOf: Record<number, number> = { 400: 3, 401: 16, 403: 7, 413: 3, 503: 14 };

/** HeaderValueOption.HeaderAppendAction OVERWRITE_IF_EXISTS_OR_ADD. */
const OVERWRITE = 2;
const option = ([key, value]: [string, string]) => ({ header: { key, value }, append_action: OVERWRITE });

function responseOf(checked: Checked): object {
  if (!checked.allowed)
    return {
      status: { code: codeOf[checked.status] ?? 7 },
      denied_response: {
        status: { code: checked.status },
        headers: Object.entries(checked.headers).map(option),
        body: checked.body,
      },
    };
  return {
    status: { code: 0 },
    ok_response: {
      headers: checked.actionId === null ? [] : [option([actionHeader, checked.actionId])],
      headers_to_remove: [...checked.removed, ...(checked.actionId === null ? [actionHeader] : [])],
    },
  };
}
