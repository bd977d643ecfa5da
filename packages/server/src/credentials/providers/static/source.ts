import type { Secret } from '../../../platform/index.ts';

/** One place where long-lived secrets are kept. */
export interface SecretSource {
  /** As it is now. `changedAt`: since when, in milliseconds since the epoch, where that is known. Throws where there is none. */
  read(name: string, signal: AbortSignal): Promise<{ value: Secret; changedAt: number | null }>;
}
