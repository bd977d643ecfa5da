import { digestJson, type Json } from '../../platform/index.ts';
import type { LeaseRequest } from './types.ts';

/** One live lease for each. What is handed out is asked for with its life, which whoever approved it has seen. */
export const holderOf = (request: LeaseRequest, scope: Json): string => {
  const { task, provider, purpose, ungated = false, ttlSeconds = null } = request;
  return digestJson([task, provider, purpose, ungated, scope, ...(ungated ? [ttlSeconds] : [])]);
};

/**
 * Of what makes two requests with one idempotency key the same. What is handed out is asked for as it was decided, within every limit: one of them that
 * changes, and leaves that as it is, makes no other request of it.
 */
export const digestOf = (request: LeaseRequest): string => {
  const { environment, purpose, provider, ungated = false, singleUse = false, asked, within, ttlSeconds } = request;
  return digestJson([
    environment,
    purpose,
    provider,
    ungated,
    singleUse,
    asked,
    ungated ? [] : [...within],
    ttlSeconds ?? null,
  ]);
};
