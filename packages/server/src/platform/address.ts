import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Which addresses Gatehouse may call. A URL in a manifest, a rule or a token, or a name whose owner changes what it resolves to, must not
 * turn the gate into a way into the network it stands in. The check is made on the address that is connected to, by the
 * lookup of that very connection, so that a name cannot resolve differently the second time.
 */
export type AddressKind = 'public' | 'private' | 'never';

/** Loopback, private and special-purpose ranges (IANA registries): reachable only where an operator says so. */
const privateRanges = ranges(
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['::1', 128],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fec0::', 10],
);

/** Link-local (cloud metadata lives there), multicast, unspecified and reserved: nothing that is called lives there. */
const neverRanges = ranges(
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  // Metadata and control services of clouds inside other ranges.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
);

function ranges(...subnets: [string, number][]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return list;
}

/** All that is given out of IPv6 (RFC 4291 §2.4): what is elsewhere and not listed above is an address of some translator, or of nobody. */
const globalUnicast = ranges(['2000::', 3]);

export function addressKind(address: string): AddressKind {
  const plain = address.split('%')[0] ?? address;
  const family = isIP(plain);
  if (family === 0) return 'never';
  if (family === 6) {
    const inner = embeddedIpv4(plain);
    if (inner !== undefined) return addressKind(inner);
  }
  const type = family === 4 ? 'ipv4' : 'ipv6';
  if (neverRanges.check(plain, type)) return 'never';
  if (privateRanges.check(plain, type)) return 'private';
  return family === 4 || globalUnicast.check(plain, type) ? 'public' : 'never';
}

/** IPv4-mapped and -compatible, NAT64 (64:ff9b::/96) and 6to4 (2002::/16) addresses lead to the IPv4 address inside. */
function embeddedIpv4(address: string): string | undefined {
  const groups = expand(address);
  const zeros = (count: number) => groups.slice(0, count).every((group) => group === 0);
  const last = dotted(groups[6] as number, groups[7] as number);
  if (zeros(5) && groups[5] === 0xffff) return last;
  if (zeros(6) && !(groups[6] === 0 && (groups[7] as number) <= 1)) return last;
  if (groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)) return last;
  if (groups[0] === 0x2002) return dotted(groups[1] as number, groups[2] as number);
  return undefined;
}

const dotted = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.');

/** The eight groups of a valid IPv6 address. */
function expand(address: string): number[] {
  const dot = address.lastIndexOf(':');
  let text = address;
  if (address.includes('.')) {
    const [a = 0, b = 0, c = 0, d = 0] = address
      .slice(dot + 1)
      .split('.')
      .map(Number);
    text = `${address.slice(0, dot + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  if (tail === undefined) return groups(head);
  const [left, right] = [groups(head), groups(tail)];
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/** `isPlain`: without TLS, which is for one's own network; on the way to a public address anybody could write the answer. */
export function checkAddress(host: string, address: string, allowPrivate: boolean, isPlain = false): void {
  const kind = addressKind(address);
  if (kind === 'public' && isPlain)
    throw new AddressRefused(`${host} is at the public address ${address}, which is called over https only.`);
  if (kind === 'public' || (kind === 'private' && allowPrivate)) return;
  throw new AddressRefused(
    kind === 'never'
      ? `${host} is at ${address}, where nothing may be called.`
      : `${host} is at the private address ${address}; set allowPrivateAddress if it belongs there.`,
  );
}

/** Resolves as the system does and refuses the whole name if any of its addresses is refused. */
export function guardedLookup(
  allowPrivate: boolean,
  isPlain = false,
  lookup: typeof systemLookup = systemLookup,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      try {
        for (const { address } of addresses) checkAddress(hostname, address, allowPrivate, isPlain);
      } catch (refused) {
        return callback(refused as Error, []);
      }
      const [first] = addresses;
      if (first === undefined) return callback(new Error(`${hostname} has no address.`), []);
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}
