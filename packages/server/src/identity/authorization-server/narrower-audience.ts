import type { Narrowing } from '@gatehouse/protocol';
import { MCP_PATH } from '../tokens/resources.ts';
import { oauthError } from './oauth-error.ts';
import { audienceOf } from './token-answer.ts';

/** Law 5: the audience is never widened. `given`: what the presented token is for; without a wish, the first of it. */
export function narrowerAudience(given: string[], asked: string[], publicUrl: string): string {
  const [first = publicUrl + MCP_PATH] = given;
  if (asked.length === 0) return audienceOf(first, publicUrl);
  const one = audienceOf(asked, publicUrl);
  if (given.length === 0 || given.includes(one) || given.includes(publicUrl + MCP_PATH)) return one;
  throw oauthError(
    'invalid_target',
    `The presented token is for ${given.join(' and ')} only, and a token for ${one} would be for more.`,
  );
}

/** One server's address stands for one server, whatever address a later token of the task is asked for. */
export function narrowingOf(audience: string, publicUrl: string): Narrowing | undefined {
  if (audience === publicUrl + MCP_PATH) return undefined;
  const server = audience.slice(audience.lastIndexOf('/') + 1);
  return { tools: [`${server}/*`, `${server}#resources`, `${server}#prompts`] };
}
