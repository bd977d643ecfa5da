import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { GatehouseError } from './errors.ts';

/** Addresses and ranges (CIDR) of the proxies whose word on where a request comes from is taken. */
export type TrustedProxies = BlockList;

export function trustedProxies(ranges: readonly string[]): TrustedProxies {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix, ...more] = range.split('/');
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : Number(prefix);
    if (version === 0 || more.length > 0 || !/^\d{1,3}$/.test(prefix ?? '0') || length > bits)
      throw new GatehouseError(
        'bad-request',
        'config.trusted-proxy',
        `"${range}" is no address or range of a proxy: give one such as 10.0.0.7 or 10.0.0.0/8.`,
      );
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

const noted = new WeakMap<IncomingMessage, string>();

/**
 * Once for each request, before anybody asks: the last address in `X-Forwarded-For` that is not a trusted proxy's, if the connection
 * is from one. Anybody can write the header, so that from others it counts for nothing.
 */
export function noteClientAddress(request: IncomingMessage, proxies: TrustedProxies): void {
  let address = plain(request.socket.remoteAddress);
  const header = request.headers['x-forwarded-for'];
  const forwarded = header === undefined ? [] : [header].flat().join(',').split(',').reverse();
  for (const hop of forwarded) {
    if (address === undefined || !isTrusted(address, proxies)) break;
    const before = plain(hop.trim());
    // What a trusted proxy hands on and is no address is not guessed at: the proxy itself is all that is known.
    if (before === undefined) break;
    address = before;
  }
  if (address !== undefined) noted.set(request, address);
}

/** Where a request comes from: of the connection, or as a trusted proxy says. Undefined when the connection is gone. */
export function clientAddress(request: IncomingMessage): string | undefined {
  return noted.get(request) ?? plain(request.socket.remoteAddress);
}

function isTrusted(address: string, proxies: TrustedProxies): boolean {
  return proxies.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** Without a zone, and IPv4 as IPv4; undefined for what is no address. */
function plain(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const [unzoned = ''] = address.split('%');
  const bare = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(unzoned)?.[1] ?? unzoned;
  return isIP(bare) === 0 ? undefined : bare;
}
