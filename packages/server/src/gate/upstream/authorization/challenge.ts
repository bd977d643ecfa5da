import type { IncomingHttpHeaders } from 'node:http';
import { splitScopes } from '../../../credentials/index.ts';

/** What a refusal says of the credential that is wanted (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1). */
export interface Challenge {
  error: string | undefined;
  resourceMetadata: string | undefined;
  scopes: string[];
  /** The server knows DPoP. */
  dpop: boolean;
}

const MAX_HEADER_CHARS = 8_192;
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** RFC 9110 §11.6.1: a scheme, then parameters; both lists are separated by commas. */
const part = new RegExp(
  `(?:^|[,\\s])\\s*(?:(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))|(${TOKEN})(?=\\s|,|$))`,
  'g',
);

/** The first challenge for a Bearer or DPoP token; members are undefined where nothing (readable) was said. */
export function readChallenge(headers: IncomingHttpHeaders): Challenge {
  const text = [headers['www-authenticate'] ?? []].flat().join(', ');
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  if (text.length <= MAX_HEADER_CHARS) {
    // The pattern takes time in proportion to the square of a run of spaces: a header of them would stop everybody for half a second.
    for (const [, name, quoted, plain, scheme] of text.replaceAll(/\s+/g, ' ').matchAll(part)) {
      if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
      else if (name !== undefined)
        challenges.at(-1)?.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '');
    }
  }
  const known = challenges.filter(({ scheme }) => scheme === 'bearer' || scheme === 'dpop');
  const find = (name: string) =>
    known.map(({ parameters }) => parameters.get(name)).find((value) => value !== undefined);
  return {
    error: find('error'),
    resourceMetadata: find('resource_metadata'),
    scopes: splitScopes(find('scope')),
    dpop: known.some(({ scheme }) => scheme === 'dpop'),
  };
}

export const noChallenge: Challenge = { error: undefined, resourceMetadata: undefined, scopes: [], dpop: false };
