import { type Grantable, grantLimits } from '@gatehouse/protocol';
import type { LoadedPolicy } from './load.ts';

type Of = Pick<LoadedPolicy, 'id' | 'json'>;

const UNITS = { s: 1, min: 60, h: 3_600 } as const;
const WRITTEN = /^([1-9]\d{0,4}) calls? within ([1-9]\d{0,5}) (s|min|h)$/;

/** As policies write it: `@grantable("20 calls within 4 h")`. Undefined for anything else. */
export function readGrantable(written: string | null | undefined): Grantable | undefined {
  const [, calls, length, unit] = WRITTEN.exec(written ?? '') ?? [];
  if (calls === undefined || length === undefined) return undefined;
  const read = { calls: Number(calls), seconds: Number(length) * UNITS[unit as keyof typeof UNITS] };
  return read.calls <= grantLimits.calls && read.seconds <= grantLimits.seconds ? read : undefined;
}

export const grantableText = ({ calls, seconds }: Grantable): string => `${calls} calls within ${seconds} s`;

export function grantableProblem({ effect, annotations }: LoadedPolicy['json']): string | undefined {
  const written = annotations?.grantable;
  if (written === undefined) return undefined;
  if (!readGrantable(written))
    return `@grantable says how far a standing grant may go, such as "20 calls within 4 h", at most ${grantLimits.calls} calls and ${grantLimits.seconds / 3_600} h, not "${written}"`;
  if (effect === 'forbid' && annotations?.tier !== '3')
    return '@grantable goes with what asks a person: a permit, or a forbid with @tier("3")';
  return undefined;
}

/**
 * Whether whoever approves this call may let more like it run. Each policy that raises it to a person's approval has to say so, and where the
 * tool itself needs one, a policy that permits it. INVARIANT: what the built-in rules raise (information flow, what is unusual) is never
 * granted: a person looks at each.
 */
export function grantableOf(own: number, permits: readonly Of[], raisers: readonly Of[]): Grantable | undefined {
  const of = ({ json }: Of) => readGrantable(json.annotations?.grantable);
  const isBuiltIn = ({ id }: Of) => id.startsWith('gatehouse/');
  const asks = ({ json }: Of) => json.annotations?.tier === '3';
  const asking = [...permits.filter(asks), ...raisers.filter((each) => asks(each) || isBuiltIn(each))];
  const all = asking.map((each) => (isBuiltIn(each) ? undefined : of(each)));
  if (own === 3) {
    const given = permits.flatMap((each) => of(each) ?? []);
    const most = (member: keyof Grantable) => Math.max(...given.map((each) => each[member]));
    all.push(given.length === 0 ? undefined : { calls: most('calls'), seconds: most('seconds') });
  }
  return leastGrantable(all);
}

/** Undefined where one of them allows none, or where there are none. */
export function leastGrantable(all: readonly (Grantable | undefined)[]): Grantable | undefined {
  const given = all.filter((each) => each !== undefined);
  if (given.length === 0 || given.length < all.length) return undefined;
  const least = (member: keyof Grantable) => Math.min(...given.map((each) => each[member]));
  return Object.freeze({ calls: least('calls'), seconds: least('seconds') });
}

/** Whether the first allows something that the second does not. */
export function isWider(is: Grantable | undefined, was: Grantable | undefined): boolean {
  if (!is) return false;
  return !was || is.calls > was.calls || is.seconds > was.seconds;
}
