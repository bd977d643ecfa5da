import { DeliveryFailure, type Destination, type Encoded } from './types.ts';

/**
 * Takes a batch to its receiver, and finds in it what the receiver will never take: the halves of a batch that it refuses are tried apart. A
 * receiver that refuses everything refuses no record, and is tried again: whether it does is found out with an event that nobody disputes.
 * Gives the records that were refused for good, with what was said of them.
 */
export async function deliver(
  batch: readonly Encoded[],
  destination: Destination,
  undisputed: () => Encoded,
  signal: AbortSignal,
): Promise<Map<Encoded, string>> {
  const refused = new Map<Encoded, string>();
  let takesSome = false;

  async function makeSureOf(why: string): Promise<void> {
    if (takesSome) return;
    const answer = await destination.send([undisputed()], signal).catch((cause: unknown) => {
      if (cause instanceof DeliveryFailure && cause.kind !== 'retry')
        throw new DeliveryFailure('retry', `it refuses everything: ${why}`, { cause });
      throw cause;
    });
    if (answer.refused.size > 0) throw new DeliveryFailure('retry', `it refuses everything: ${why}`);
    takesSome = true;
  }

  async function attempt(part: readonly Encoded[]): Promise<void> {
    try {
      const answer = await destination.send(part, signal);
      for (const [at, reason] of answer.refused) refused.set(part[at] as Encoded, reason);
      if (answer.refused.size < part.length) takesSome = true;
      return;
    } catch (error) {
      if (!(error instanceof DeliveryFailure) || error.kind === 'retry') throw error;
      if (error.kind === 'refused') await makeSureOf(error.message);
      if (part.length === 1) {
        refused.set(part[0] as Encoded, error.message);
        return;
      }
    }
    const half = Math.ceil(part.length / 2);
    await attempt(part.slice(0, half));
    await attempt(part.slice(half));
  }

  await attempt(batch);
  const [reason] = refused.values();
  if (reason !== undefined) await makeSureOf(reason);
  return refused;
}
