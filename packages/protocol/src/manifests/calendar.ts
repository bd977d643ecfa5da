import { z } from 'zod';
import { name } from '../names.ts';
import { description } from './description.ts';

export const timeOfDay = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'a time such as 09:00');
const weekday = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);
export type Weekday = z.infer<typeof weekday>;

/** When something is open, in the time of a place: `context.calendars` of policies has the names of those that are open now. */
export const calendarManifest = z.strictObject({
  kind: z.literal('Calendar'),
  name,
  description,
  /** IANA time zone: Europe/Berlin, America/New_York, UTC. Summer time is taken care of. */
  zone: z.string().min(1).max(60),
  /** A window that ends before it begins ends on the next day. */
  open: z
    .array(
      z.strictObject({
        days: z.array(weekday).min(1).max(7),
        from: timeOfDay,
        to: z.union([timeOfDay, z.literal('24:00')]),
      }),
    )
    .min(1)
    .max(50),
  /** Days on which no window begins. */
  holidays: z.array(z.iso.date()).max(1_000).default([]),
});

export type CalendarManifest = z.infer<typeof calendarManifest>;
