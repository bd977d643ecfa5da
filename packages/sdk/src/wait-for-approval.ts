import { setTimeout as sleep } from 'node:timers/promises';
import { ApprovalPending } from './errors.ts';
import { type ToolResultLike, unlessStopped } from './outcome.ts';

export interface WaitOptions {
  /** Gives up. What was asked stays open for whoever makes the call again. */
  signal?: AbortSignal;
  /** Told each time that the call still waits: to show where somebody can approve it. */
  onWaiting?(pending: ApprovalPending): void;
}

/**
 * Makes a call, and makes it again as the gate says, until nobody is waited for: it has run then, once, also where another replica answers or the
 * gate was restarted in between. `call` must send the same tool and the same arguments each time.
 *
 * Throws as `unlessStopped` does, and ApprovalPending only for another question than the first: nobody has answered that in time, what people
 * were asked about has changed, or the call has run and a person has to release its result. Whether to wait for it is the caller's to say.
 */
export async function waitForApproval<T extends ToolResultLike>(
  call: () => Promise<T>,
  { signal, onWaiting }: WaitOptions = {},
): Promise<T> {
  let first: string | undefined;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await unlessStopped(call());
    } catch (error) {
      if (!(error instanceof ApprovalPending)) throw error;
      first ??= error.approval;
      if (error.approval !== first) throw error;
      onWaiting?.(error);
      await sleep(error.retryAfterSeconds * 1_000, undefined, signal && { signal }).catch((aborted: unknown) => {
        throw signal?.reason ?? aborted;
      });
    }
  }
}
