import type { Secret } from '../../../platform/index.ts';
import type { Order } from '../../leases/types.ts';

/** For whom it is read: clouds give it to an agent's own identity. */
export type Whose = Omit<Order, 'scope'>;

/** One place where long-lived secrets are kept. */
export interface SecretSource {
  /** As it is now. `changedAt`: since when, in milliseconds since the epoch, where that is known. Throws where there is none. */
  read(name: string, whose: Whose, signal: AbortSignal): Promise<{ value: Secret; changedAt: number | null }>;
}
