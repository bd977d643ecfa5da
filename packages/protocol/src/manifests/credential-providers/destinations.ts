import { z } from 'zod';
import { originOf } from '../../upstream-authorization.ts';

/** `https://api.example` of a tool server over HTTP, `stdio://NAME` of one that is a program. */
const destination = z
  .string()
  .max(500)
  .refine(
    (text) => URL.canParse(text) && originOf(text) === text,
    'is https://HOST or https://HOST:PORT, or stdio://NAME',
  );

/** The only tool servers that something is sent to. */
export const destinations = z.array(destination).min(1).max(10);
