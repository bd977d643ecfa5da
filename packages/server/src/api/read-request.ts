import type { Context } from 'hono';
import type { z } from 'zod';
import { GatehouseError, isJsonObject, limits, parseStrictJson } from '../platform/index.ts';

/** Reads the JSON body: bounded in size and in time. No body is `{}`. */
export async function readBody(http: Context): Promise<unknown> {
  if (Number(http.req.header('content-length') ?? 0) > limits.requestBodyBytes) throw tooLarge();
  const reader = http.req.raw.body?.getReader();
  if (!reader) return {};
  let timer: NodeJS.Timeout | undefined;
  const slow = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(new GatehouseError('timeout', 'body.slow', 'The request body took too long to arrive. Send it again.')),
      limits.requestBodyTimeoutMs,
    );
  });
  try {
    const chunks: Uint8Array[] = [];
    for (let size = 0; ; ) {
      const { done, value } = await Promise.race([reader.read().catch(truncated), slow]);
      if (done) return size === 0 ? {} : parseStrictJson(Buffer.concat(chunks));
      size += value.byteLength;
      if (size > limits.requestBodyBytes) throw tooLarge();
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
    reader.releaseLock();
  }
}

const tooLarge = () =>
  new GatehouseError('too-large', 'body.too-large', `A body has at most ${limits.requestBodyBytes} bytes.`);

function truncated(cause: unknown): never {
  throw new GatehouseError('bad-request', 'body.truncated', 'The request body is incomplete. Send it again.', {
    cause,
  });
}

/** The query by name. Given twice, a parameter could be read in two ways, so it is refused. */
export function readQuery(http: Context): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of new URL(http.req.url).searchParams) {
    if (Object.hasOwn(query, name)) throw invalid('query', [{ path: name, problem: 'stands twice' }]);
    Object.defineProperty(query, name, { value, enumerable: true });
  }
  return query;
}

export function check(schema: z.ZodType, value: unknown, where: 'body' | 'query'): unknown {
  const path = pathOfNul(value, []);
  if (path) throw invalid(where, [{ path: path.join('.'), problem: 'holds the character U+0000' }]);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(
    where,
    parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), problem: message })),
  );
}

/** A path parameter. No name or id has U+0000 in it, and PostgreSQL would refuse to look for one. */
export function checkParam(value: string): string {
  if (!value.includes('\0')) return value;
  throw new GatehouseError('bad-request', 'path.invalid', 'The path holds the character U+0000. Correct the address.');
}

function pathOfNul(value: unknown, path: string[]): string[] | undefined {
  if (typeof value === 'string') return value.includes('\0') ? path : undefined;
  if (!Array.isArray(value) && !isJsonObject(value)) return undefined;
  for (const [key, member] of Object.entries(value)) {
    const found = key.includes('\0') ? path : pathOfNul(member, [...path, key]);
    if (found) return found;
  }
  return undefined;
}

function invalid(where: 'body' | 'query', all: { path: string; problem: string }[]): GatehouseError {
  const problems = all.slice(0, 20);
  const words = problems.map(({ path, problem }) => `${path || where}: ${problem}`).join('; ');
  return new GatehouseError('bad-request', `${where}.invalid`, `The ${where} does not fit: ${words}`, {
    extra: { problems },
  });
}
