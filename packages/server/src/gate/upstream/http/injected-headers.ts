import type { UpstreamCredential } from '../types.ts';
import type { HttpCaller } from './call.ts';

/** Every request of one connection with the credential that the connection was made for. */
export function withHeaders(callHttp: HttpCaller, { values }: UpstreamCredential): HttpCaller {
  return (request, sizes, handlers) => {
    const added = Object.entries(values).map(([name, value]) => [name.toLowerCase(), value.reveal()]);
    return callHttp({ ...request, headers: { ...request.headers, ...Object.fromEntries(added) } }, sizes, handlers);
  };
}
