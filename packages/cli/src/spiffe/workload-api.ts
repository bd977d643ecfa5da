import type { SvidBundles } from '@gatehouse/protocol';
import { GatehouseRequestError } from '@gatehouse/sdk/errors';
import { isRefusal, type SvidSource, validateJwtSvid, type X509Svid } from '@gatehouse/sdk/svid';
import * as grpc from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { workloadProto } from './workload-proto.ts';

/**
 * The SPIFFE Workload API on an agent's own machine. Whoever can open the socket is the agent: it lies in a directory that only its
 * user can enter (SPIFFE Workload API §4 leaves it to the implementation how callers are told apart).
 */
type Call = { metadata: grpc.Metadata };
type Stream = grpc.ServerWritableStream<unknown, object>;
type Unary<Request> = grpc.ServerUnaryCall<Request, object>;

/** Open streams; an agent's processes have one or two each. */
const MAX_STREAMS = 256;
const MAX_MESSAGE_BYTES = 64 * 1024;

export const workloadService = () =>
  fromJSON(workloadProto as never, { keepCase: true, bytes: Buffer, defaults: true, longs: Number })
    .SpiffeWorkloadAPI as unknown as grpc.ServiceDefinition;

export function createWorkloadApi(source: SvidSource): { server: grpc.Server; close(): void } {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAX_STREAMS,
  });
  const streams = new Set<() => void>();

  /** Sends what there is now and whatever follows it; each message is the whole, and replaces the one before (§5.2.1). */
  const stream =
    <T>(
      first: () => Promise<T>,
      toMessage: (of: T) => object,
      on: (send: (of: T) => void) => Parameters<SvidSource['follow']>[0],
    ) =>
    (call: Stream) => {
      const refused = withoutHeader(call);
      if (refused) return void call.emit('error', refused);
      if (streams.size >= MAX_STREAMS)
        return void call.emit('error', status(grpc.status.RESOURCE_EXHAUSTED, 'Too many streams are open.'));
      let last = '';
      const send = (of: T) => {
        const message = toMessage(of);
        const text = JSON.stringify(message);
        if (text === last || call.cancelled) return;
        last = text;
        call.write(message);
      };
      const stop = source.follow({ ...on(send), refused: (error) => end(toStatus(error)) });
      let isOver = false;
      const end = (error?: Partial<grpc.StatusObject>) => {
        if (isOver) return;
        isOver = true;
        stop();
        streams.delete(leave);
        if (error) call.emit('error', error);
        else call.end();
      };
      const leave = () => end();
      streams.add(leave);
      call.once('cancelled', leave);
      first().then(send, (error) => end(toStatus(error)));
    };

  server.addService(workloadService(), {
    FetchX509SVID: stream(
      async () => ({ svid: await source.x509(), bundles: await source.bundles() }),
      ({ svid, bundles }) => x509Message(svid, bundles),
      (send) => {
        const both = () =>
          void Promise.all([source.x509(), source.bundles()]).then(
            ([svid, bundles]) => send({ svid, bundles }),
            () => undefined,
          );
        return { svid: both, bundles: both };
      },
    ),
    FetchX509Bundles: stream(
      () => source.bundles(),
      (bundles: SvidBundles) => ({ crl: [], bundles: x509Bundles(bundles) }),
      (send) => ({ bundles: send }),
    ),
    FetchJWTBundles: stream(
      () => source.bundles(),
      (bundles: SvidBundles) => ({ bundles: jwtBundles(bundles) }),
      (send) => ({ bundles: send }),
    ),
    FetchJWTSVID: unary(async ({ audience, spiffe_id: wanted }: { audience: string[]; spiffe_id: string }) => {
      if (audience.length === 0 || audience.some((each) => each === ''))
        throw status(grpc.status.INVALID_ARGUMENT, 'A JWT-SVID needs at least one audience.');
      const { spiffeId, token } = await source.jwt(audience);
      if (wanted !== '' && wanted !== spiffeId)
        throw status(grpc.status.PERMISSION_DENIED, `This is ${spiffeId}, and not ${wanted}.`);
      return { svids: [{ spiffe_id: spiffeId, svid: token, hint: '' }] };
    }),
    ValidateJWTSVID: unary(async ({ audience, svid }: { audience: string; svid: string }) => {
      if (audience === '' || svid === '')
        throw status(grpc.status.INVALID_ARGUMENT, 'Validation needs an audience and an SVID.');
      const bundles = await source.bundles();
      const { spiffeId, claims } = await validateJwtSvid(bundles, svid, audience).catch((cause: unknown) => {
        throw status(grpc.status.INVALID_ARGUMENT, cause instanceof Error ? cause.message : String(cause));
      });
      return { spiffe_id: spiffeId, claims: toStruct(claims) };
    }),
  });
  return {
    server,
    close() {
      for (const leave of [...streams]) leave();
      server.forceShutdown();
    },
  };
}

function unary<Request>(work: (request: Request) => Promise<object>) {
  return (call: Unary<Request>, callback: grpc.sendUnaryData<object>) => {
    const refused = withoutHeader(call);
    if (refused) return callback(refused);
    work(call.request).then(
      (answer) => callback(null, answer),
      (error) => callback(toStatus(error)),
    );
  };
}

/** §5.1: a caller that does not say that it means this API may be a browser or proxy that was made to send a request. */
function withoutHeader({ metadata }: Call) {
  const values = metadata.get('workload.spiffe.io');
  return values.length === 1 && values[0] === 'true'
    ? undefined
    : status(grpc.status.INVALID_ARGUMENT, 'The request lacks the metadata workload.spiffe.io: true.');
}

const status = (code: grpc.status, details: string) => Object.assign(new Error(details), { code, details });

/** §5.3: a client told PermissionDenied or Unavailable asks again, later and later. */
function toStatus(error: unknown) {
  if (!(error instanceof GatehouseRequestError)) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'number')
      return error as ReturnType<typeof status>;
    return status(grpc.status.INTERNAL, error instanceof Error ? error.message : String(error));
  }
  if (isRefusal(error)) return status(grpc.status.PERMISSION_DENIED, error.message);
  if (error.status === 400) return status(grpc.status.INVALID_ARGUMENT, error.message);
  if (error.status === 429) return status(grpc.status.RESOURCE_EXHAUSTED, error.message);
  return status(grpc.status.UNAVAILABLE, error.message);
}

const idOf = (trustDomain: string) => `spiffe://${trustDomain}`;

function x509Message({ spiffeId, certificates, privateKey }: X509Svid, bundles: SvidBundles): object {
  const { [idOf(bundles.trustDomain)]: own, ...federated } = x509Bundles(bundles);
  return {
    svids: [
      {
        spiffe_id: spiffeId,
        x509_svid: Buffer.concat(certificates.map((each) => Buffer.from(each, 'base64'))),
        x509_svid_key: privateKey.export({ type: 'pkcs8', format: 'der' }),
        bundle: own ?? Buffer.alloc(0),
        hint: '',
      },
    ],
    crl: [],
    federated_bundles: federated,
  };
}

type BundleKey = { use?: string; x5c?: string[] };
const keysOf = (bundle: Record<string, unknown>) => (bundle.keys ?? []) as BundleKey[];

/** Certificates of each, DER, one after the other. Each trust domain's apart: they are never merged. */
function x509Bundles({ bundles }: SvidBundles): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(bundles).map(([name, bundle]) => [
      idOf(name),
      Buffer.concat(
        keysOf(bundle).flatMap(({ use, x5c }) =>
          use === 'x509-svid' ? (x5c ?? []).map((each) => Buffer.from(each, 'base64')) : [],
        ),
      ),
    ]),
  );
}

function jwtBundles({ bundles }: SvidBundles): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(bundles).map(([name, bundle]) => [
      idOf(name),
      Buffer.from(JSON.stringify({ keys: keysOf(bundle).filter(({ use }) => use === 'jwt-svid') })),
    ]),
  );
}

function toStruct(value: Record<string, unknown>): object {
  return { fields: Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toValue(member)])) };
}

function toValue(value: unknown): object {
  if (typeof value === 'string') return { string_value: value };
  if (typeof value === 'number') return { number_value: value };
  if (typeof value === 'boolean') return { bool_value: value };
  if (Array.isArray(value)) return { list_value: { values: value.map(toValue) } };
  if (typeof value === 'object' && value !== null) return { struct_value: toStruct(value as Record<string, unknown>) };
  return { null_value: 'NULL_VALUE' };
}
