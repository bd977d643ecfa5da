import { z } from 'zod';

export const description = z.string().max(2_000).optional();
