import { z } from 'zod';
import { email, name } from '../names.ts';
import { timeOfDay } from './calendar.ts';
import { description } from './description.ts';

/** Who is on call: one person at a time, in turns. `on-call:NAME` in a rule is whoever it is at that moment. */
export const onCallManifest = z.strictObject({
  kind: z.literal('OnCall'),
  name,
  description,
  /** IANA time zone of the hand-over. Summer time is taken care of. */
  zone: z.string().min(1).max(60),
  /** In this order, and from the beginning again. */
  people: z.array(email).min(1).max(100),
  /** The day of the first hand-over: before it nobody is on call. */
  startsOn: z.iso.date(),
  /** By the clock on the wall. Where the clock is put forward over it: when it is; where it comes twice: the first time. */
  handOverAt: timeOfDay,
  everyDays: z.int().min(1).max(366).default(7),
  /** Somebody else, or nobody (`person: null`), between two moments. The last one that covers a moment counts. */
  overrides: z
    .array(
      z
        .strictObject({
          person: email.nullable(),
          from: z.iso.datetime({ offset: true }),
          until: z.iso.datetime({ offset: true }),
        })
        .refine(({ from, until }) => Date.parse(from) < Date.parse(until), { message: '`until` is after `from`' }),
    )
    .max(500)
    .default([]),
});
export type OnCallManifest = z.infer<typeof onCallManifest>;
