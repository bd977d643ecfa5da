import type { Requirement } from '../requirement.ts';
import { approved } from './approved.ts';
import { confirmed } from './confirmed.ts';
import { proven } from './proven.ts';
import { recorded } from './recorded.ts';
import { strangers } from './strangers.ts';

/** The laws of the house (SECURITY.md), by what they are about. */
export const laws: Requirement[] = [...recorded, ...proven, ...approved, ...confirmed, ...strangers];
