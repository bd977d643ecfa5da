import { hash } from 'node:crypto';
import { echoes } from './echo.ts';
import type { UpstreamToken } from './types.ts';

const MAX_SPENT = 100;
const MAX_GIVEN = 8;

/** Tokens that a server was given, to know them again in what it answers. */
export interface ShownTokens {
  give(token: UpstreamToken): void;
  /** The text holds one of the last that were given; that one is spent from now on. */
  echoes(text: Uint8Array | string): boolean;
  /** The server has shown it around: never sent again. */
  isSpent(token: UpstreamToken): boolean;
}

export function createShownTokens(): ShownTokens {
  let given: UpstreamToken[] = [];
  /** Digests. The oldest give way. */
  const spent = new Set<string>();
  return {
    give(token) {
      if (!given.includes(token)) given = [...given, token].slice(-MAX_GIVEN);
    },
    echoes(text) {
      const shown = given.find((each) => echoes(text, each.value));
      if (shown === undefined) return false;
      if (spent.size >= MAX_SPENT) spent.delete(spent.values().next().value as string);
      spent.add(digestOf(shown));
      return true;
    },
    isSpent: (token) => spent.has(digestOf(token)),
  };
}

const digestOf = ({ value }: UpstreamToken) => hash('sha256', value.reveal(), 'base64url');
