import type { IncomingMessage } from 'node:http';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { nobody, type Peer } from '../client-certificate/peers.ts';

/** What the door knows of a request that it hands to oidc-provider, which itself sees our own address and no connection. */
export interface Arrival {
  /** Where the client sent it: the `htu` of its DPoP proof. */
  url: string;
  peer: Peer;
}

const arrivals = new WeakMap<IncomingMessage, Arrival>();

export function noteArrival(request: IncomingMessage, arrival: Arrival): void {
  arrivals.set(request, arrival);
}

export function arrivalOf({ req, href }: Pick<KoaContextWithOIDC, 'req' | 'href'>): Arrival {
  return arrivals.get(req) ?? { url: href, peer: nobody };
}
