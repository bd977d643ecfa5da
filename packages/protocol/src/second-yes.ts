import { z } from 'zod';
import { type SecondYesAsked, secondYesActs } from './second-yes-statement.ts';

export const secondYesBodies = {
  options: z.strictObject({ act: z.enum(secondYesActs), id: z.string().min(1).max(200) }),
  agree: z.strictObject({ nonce: z.string().min(1).max(128), assertion: z.record(z.string(), z.unknown()) }),
};

export interface SecondYesApi {
  'POST /second-yes/options': SecondYesAsked;
}
