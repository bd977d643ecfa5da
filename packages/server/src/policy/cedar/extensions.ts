import {
  add,
  asLong,
  asString,
  EvaluationError,
  Extension,
  type Long,
  subtract,
  toLong,
  type Value,
  wrongType,
} from './values.ts';

/** Cedar's extension types (language reference, "Extension types"): decimal, ipaddr, datetime and duration. */

/** What is a whole number of some unit. */
abstract class Counted extends Extension {
  readonly value: Long;

  constructor(value: Long) {
    super();
    this.value = value;
  }

  get key(): string {
    return String(this.value);
  }
}

/** An address, or a range of them in CIDR form. An IPv4 address is in no range of IPv6. */
export class IpAddress extends Extension {
  readonly type = 'ipaddr';
  readonly bits: 32 | 128;
  readonly address: bigint;
  readonly prefix: number;

  constructor(bits: 32 | 128, address: bigint, prefix: number) {
    super();
    this.bits = bits;
    this.address = address;
    this.prefix = prefix;
  }

  get key(): string {
    return `${this.bits}:${this.address}/${this.prefix}`;
  }

  /** As Cedar writes it. */
  get text(): string {
    const groups =
      this.bits === 32
        ? [24n, 16n, 8n, 0n].map((shift) => String((this.address >> shift) & 255n)).join('.')
        : [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n]
            .map((shift) => ((this.address >> shift) & 65_535n).toString(16))
            .join(':');
    return `${groups}/${this.prefix}`;
  }

  /** All addresses of this range are in the other one. */
  isWithin(other: IpAddress): boolean {
    return (
      this.bits === other.bits &&
      this.prefix >= other.prefix &&
      this.address >> BigInt(this.bits - other.prefix) === other.address >> BigInt(this.bits - other.prefix)
    );
  }
}

/** A fraction with four digits, counted in ten-thousandths. */
export class Decimal extends Counted {
  readonly type = 'decimal';
}

/** Counted in milliseconds since 1970-01-01T00:00:00Z. */
export class Datetime extends Counted {
  readonly type = 'datetime';
}

/** Counted in milliseconds. */
export class Duration extends Counted {
  readonly type = 'duration';
}

export function parseDecimal(text: string): Decimal {
  const [, sign = '', whole = '', fraction = ''] = /^(-?)([0-9]+)\.([0-9]{1,4})$/.exec(text) ?? [];
  if (whole === '')
    throw new EvaluationError(
      `extension error: "${shown(text)}" is not a decimal (digits on both sides of the dot, at most four behind it)`,
    );
  const tenThousandths = digitsOf(whole) * 10_000n + BigInt(fraction.padEnd(4, '0'));
  return new Decimal(toLong(sign === '-' ? -tenThousandths : tenThousandths));
}

/** Of digits, however many: what is longer than any Long is not read, which would cost the square of its length. */
function digitsOf(text: string): bigint {
  const digits = text.replace(/^0+(?=[0-9])/, '');
  if (digits.length > 19) throw new EvaluationError('integer overflow: the number does not fit 64 bits');
  return BigInt(digits);
}

/** The longest there is: eight groups of four digits and "/128". */
const MAX_ADDRESS_LENGTH = 43;

export function parseIp(text: string): IpAddress {
  const refused = () => new EvaluationError(`extension error: "${shown(text)}" is not an IP address or range`);
  if (text.length > MAX_ADDRESS_LENGTH) throw refused();
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const bits = host.includes(':') ? 128 : 32;
  const address = bits === 32 ? parseIpv4(host) : parseIpv6(host);
  if (address === undefined) throw refused();
  if (slash < 0) return new IpAddress(bits, address, bits);
  const prefix = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(prefix) || Number(prefix) > bits) throw refused();
  return new IpAddress(bits, address, Number(prefix));
}

function parseIpv4(text: string): bigint | undefined {
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every((octet) => /^(0|[1-9][0-9]{0,2})$/.test(octet) && Number(octet) < 256))
    return undefined;
  return octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
}

/** RFC 4291, section 2.2, without the form that ends in an IPv4 address, which Cedar does not take. */
function parseIpv6(text: string): bigint | undefined {
  const [left = '', right, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const groupsOf = (part: string) => (part === '' ? [] : part.split(':'));
  const before = groupsOf(left);
  const after = right === undefined ? [] : groupsOf(right);
  const missing = 8 - before.length - after.length;
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...before, ...Array<string>(missing).fill('0'), ...after];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

const DAY = 86_400_000;

export function parseDatetime(text: string): Datetime {
  const refused = () =>
    new EvaluationError(
      `extension error: "${shown(text)}" is not a datetime such as 2024-10-15, 2024-10-15T11:38:02Z or 2024-10-15T11:38:02.101+0100`,
    );
  const match =
    /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{3}))?(?:Z|([+-])([0-9]{2})([0-9]{2})))?$/.exec(
      text,
    );
  if (!match) throw refused();
  const [year, month, day, hour, minute, second, millisecond] = match.slice(1, 8).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [sign, offsetHour, offsetMinute] = [match[8], Number(match[9] ?? 0), Number(match[10] ?? 0)];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDate = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isDate || hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) throw refused();
  const offset = (offsetHour * 60 + offsetMinute) * 60_000 * (sign === '-' ? -1 : 1);
  return new Datetime(date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + millisecond - offset);
}

export function parseDuration(text: string): Duration {
  const match = /^(-?)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$/.exec(text);
  const parts = match?.slice(2) ?? [];
  if (!match || parts.every((part) => part === undefined))
    throw new EvaluationError(`extension error: "${shown(text)}" is not a duration such as 1d2h3m4s5ms`);
  // One after the other, as the reference does it: a sum that leaves 64 bits on the way is an overflow.
  const [milliseconds = 0n, ...larger] = parts.reverse().map((part) => digitsOf(part ?? '0'));
  const isNegative = match[1] === '-';
  let total = toLong(isNegative ? -milliseconds : milliseconds);
  for (const [at, unit] of [1000n, 60_000n, 3_600_000n, 86_400_000n].entries()) {
    const amount = toLong((larger[at] ?? 0n) * unit);
    total = isNegative ? subtract(total, amount) : add(total, amount);
  }
  return new Duration(total);
}

type Operation = (args: Value[]) => Value;

const decimal = (value: Value) => instance(value, Decimal, 'a decimal');
const ip = (value: Value) => instance(value, IpAddress, 'an ipaddr');
const datetime = (value: Value) => instance(value, Datetime, 'a datetime');
const duration = (value: Value) => instance(value, Duration, 'a duration');

function instance<T extends Extension>(value: Value, type: abstract new (...args: never[]) => T, name: string): T {
  if (value instanceof type) return value;
  throw wrongType(name, value);
}

/** How often a unit goes into a duration, towards zero. */
function whole(value: Value, unit: number): Long {
  const { value: milliseconds } = duration(value);
  return typeof milliseconds === 'number'
    ? Math.trunc(milliseconds / unit) + 0
    : toLong(BigInt(milliseconds) / BigInt(unit));
}

/** What of a moment lies after the start of its day. */
function sinceMidnight(moment: Datetime): number {
  const { value: milliseconds } = moment;
  const rest = typeof milliseconds === 'number' ? milliseconds % DAY : Number(milliseconds % BigInt(DAY));
  return rest < 0 ? rest + DAY : rest + 0;
}

/** Every function and method of the extensions, with the number of its arguments (a method's first is what it is called on). */
export const extensionFunctions: ReadonlyMap<string, { arity: number; call: Operation }> = new Map(
  Object.entries<[number, (...args: [Value, Value]) => Value]>({
    decimal: [1, (text) => parseDecimal(asString(text))],
    lessThan: [2, (left, right) => decimal(left).value < decimal(right).value],
    lessThanOrEqual: [2, (left, right) => decimal(left).value <= decimal(right).value],
    greaterThan: [2, (left, right) => decimal(left).value > decimal(right).value],
    greaterThanOrEqual: [2, (left, right) => decimal(left).value >= decimal(right).value],
    ip: [1, (text) => parseIp(asString(text))],
    isIpv4: [1, (address) => ip(address).bits === 32],
    isIpv6: [1, (address) => ip(address).bits === 128],
    isLoopback: [1, (address) => loopback.some((range) => ip(address).isWithin(range))],
    isMulticast: [1, (address) => multicast.some((range) => ip(address).isWithin(range))],
    isInRange: [2, (address, range) => ip(address).isWithin(ip(range))],
    datetime: [1, (text) => parseDatetime(asString(text))],
    duration: [1, (text) => parseDuration(asString(text))],
    offset: [2, (moment, by) => new Datetime(add(datetime(moment).value, duration(by).value))],
    durationSince: [2, (moment, since) => new Duration(subtract(datetime(moment).value, datetime(since).value))],
    toDate: [1, (moment) => new Datetime(subtract(datetime(moment).value, sinceMidnight(datetime(moment))))],
    toTime: [1, (moment) => new Duration(sinceMidnight(datetime(moment)))],
    toMilliseconds: [1, (time) => asLong(duration(time).value)],
    toSeconds: [1, (time) => whole(time, 1000)],
    toMinutes: [1, (time) => whole(time, 60_000)],
    toHours: [1, (time) => whole(time, 3_600_000)],
    toDays: [1, (time) => whole(time, DAY)],
  }).map(([name, [arity, call]]) => [name, { arity, call: (args) => call(...(args as [Value, Value])) }]),
);

const loopback = [parseIp('127.0.0.0/8'), parseIp('::1/128')];
const multicast = [parseIp('224.0.0.0/4'), parseIp('ff00::/8')];

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60).toWellFormed()}…` : text;
}
