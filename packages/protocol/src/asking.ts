import { z } from 'zod';
import { timeOfDay } from './manifests/calendar.ts';

/** How often agents may ask people: of a blueprint for its agents, of a template for its tasks. The least counts. */
export const asking = z.strictObject({
  /** Questions of one agent in an hour; what needs a person beyond that is refused. */
  perHour: z.int().min(1).max(1_000).optional(),
  /** Of those, questions on behalf of one proven user: half of them unless it is said here, so that one user of a shared agent can't silence the others. */
  perUserHour: z.int().min(1).max(1_000).optional(),
  /** A call that was denied is not asked about again for so long, by whatever task of the agent. */
  deniedForSeconds: z.int().min(0).max(86_400).optional(),
});
export type Asking = z.infer<typeof asking>;

/** When a person is not told of what waits for them: from then to then by the clock of a place, also over midnight. */
export const quietHours = z.strictObject({
  /** IANA time zone. */
  zone: z.string().min(1).max(60),
  from: timeOfDay,
  to: timeOfDay,
});
export type QuietHours = z.infer<typeof quietHours>;
