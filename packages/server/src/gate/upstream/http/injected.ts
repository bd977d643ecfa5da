import { SignatureV4 } from '@smithy/signature-v4';
import { type Clock, NodeSha256, type Secret } from '../../../platform/index.ts';
import { type UpstreamCredential, UpstreamFailure } from '../types.ts';
import type { HttpCall, HttpCaller, HttpRequest } from './call.ts';
import { cutOffEchoes } from './cut-off-echoes.ts';
import type { ClientCertificate, HttpTransport } from './pools.ts';

type Values = Readonly<Record<string, Secret>>;

const revealed = (values: Values): [string, string][] =>
  Object.entries(values).map(([name, value]) => [name, value.reveal()]);

/** Every request of one connection with the credential that the connection was made for. */
function withHeaders(callHttp: HttpCaller, values: Values): HttpCaller {
  return (request, sizes, handlers) => {
    const added = revealed(values).map(([name, value]) => [name.toLowerCase(), value]);
    return callHttp({ ...request, headers: { ...request.headers, ...Object.fromEntries(added) } }, sizes, handlers);
  };
}

/** The same in the query of the address, after what the manifest's own has. */
function withQuery(callHttp: HttpCaller, values: Values): HttpCaller {
  return (request, sizes, handlers) => {
    const added = revealed(values).map((pair) => pair.map(encodeURIComponent).join('='));
    const path = `${request.path}${request.path.includes('?') ? '&' : '?'}${added.join('&')}`;
    return callHttp({ ...request, path }, sizes, handlers);
  };
}

/** Written anew by what stands on the way, so that a signature over it would not hold. */
const UNSIGNED = new Set(['traceparent', 'tracestate', 'accept']);

interface Toward {
  url: URL;
  transport: HttpTransport;
  clock: Clock;
}

/** In whichever ways the manifest says; signed last, over all of it. */
export function injecting(
  callHttp: HttpCaller,
  { values }: UpstreamCredential,
  { transport, ...toward }: Toward,
): HttpCaller {
  const { awsSignature } = transport.credential ?? {};
  let caller = callHttp;
  if (values.awsSignature && awsSignature)
    caller = withAwsSignature(caller, values.awsSignature, { ...toward, ...awsSignature });
  if (values.headers) caller = withHeaders(caller, values.headers);
  return values.query ? withQuery(caller, values.query) : caller;
}

/** What its connections show of themselves. */
export function clientCertificateOf(
  { credential }: HttpTransport,
  injected: UpstreamCredential | undefined,
): ClientCertificate | undefined {
  const { certificate, key } = injected?.values.clientCertificate ?? {};
  if (!certificate || !key) return undefined;
  const { ca } = credential?.clientCertificate ?? {};
  return { cert: certificate.reveal(), key: key.reveal(), ...(ca !== undefined && { ca }) };
}

interface SignedFor {
  url: URL;
  service: string;
  region: string;
  clock: Clock;
}

/** Every request signed over its method, address, headers and body (AWS Signature Version 4). */
function withAwsSignature(
  callHttp: HttpCaller,
  values: Values,
  { url, service, region, clock }: SignedFor,
): HttpCaller {
  const { accessKeyId, secretAccessKey, sessionToken } = Object.fromEntries(revealed(values));
  const signer = new SignatureV4({
    service,
    region,
    credentials: {
      accessKeyId: accessKeyId as string,
      secretAccessKey: secretAccessKey as string,
      ...(sessionToken && { sessionToken }),
    },
    sha256: NodeSha256,
  });

  async function sign(request: HttpRequest): Promise<HttpRequest> {
    const target = new URL(request.path, url);
    const kept = Object.entries(request.headers).filter(([name]) => UNSIGNED.has(name.toLowerCase()));
    const signed = Object.entries(request.headers).filter(([name]) => !UNSIGNED.has(name.toLowerCase()));
    const { headers } = await signer.sign(
      {
        method: request.method,
        protocol: target.protocol,
        hostname: target.hostname,
        path: target.pathname,
        query: queryOf(target),
        headers: { ...Object.fromEntries(signed), host: target.host },
        ...(request.body !== undefined && { body: request.body }),
      },
      { signingDate: new Date(clock.now()) },
    );
    return { ...request, headers: { ...Object.fromEntries(kept), ...headers } };
  }

  return (request, sizes, handlers) => {
    let current: HttpCall | undefined;
    let aborted = false;
    const failed = (cause: unknown) =>
      handlers.onEnd({
        kind: 'failed',
        error: new UpstreamFailure('unreachable', 'The request could not be signed.', { cause }),
        sent: false,
      });
    sign(request).then((signed) => {
      if (aborted) return failed(new Error('The call was aborted.'));
      const signature = /Signature=([0-9a-f]{64})/.exec(signed.headers.authorization ?? '')?.[1];
      current = cutOffEchoes(callHttp, signature, 'the signature of its request')(signed, sizes, handlers);
    }, failed);
    return {
      abort() {
        aborted = true;
        current?.abort();
      },
    };
  };
}

function queryOf({ searchParams }: URL): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(searchParams.keys())].map((name) => {
      const all = searchParams.getAll(name);
      return [name, all.length === 1 ? (all[0] as string) : all];
    }),
  );
}
