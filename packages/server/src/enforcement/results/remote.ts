/** Names of hosts, `*.` in front for every host below one. */
export type AllowedHosts = readonly string[];

const here = 'https://here.invalid';

/**
 * Whether showing this fetches it from a host that is not allowed, as a browser reads addresses (back slashes, missing schemes, line
 * ends within). What is relative goes to whoever shows it, and `data:` goes nowhere.
 */
export function isRemote(address: string, allowed: AllowedHosts): boolean {
  let url: URL;
  try {
    url = new URL(address, here);
  } catch {
    return true;
  }
  if (url.origin === here || ['data:', 'cid:', 'blob:', 'about:', 'mid:'].includes(url.protocol)) return false;
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  return !(isWeb && allowed.some((pattern) => matches(pattern, url.hostname)));
}

const matches = (pattern: string, host: string) =>
  pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1 : host === pattern;

/** Whether a style sheet or `style` attribute fetches something. One that writes letters as escapes has something to hide. */
export function stylesFetch(css: string, allowed: AllowedHosts): boolean {
  const plain = withoutCssComments(css);
  if (!/url|import|image|src/i.test(plain)) return /\\[0-9a-f]/i.test(plain);
  if (plain.includes('\\')) return true;
  const found = plain.matchAll(/url\(\s*["']?([^"')]*)|@import\s+["']([^"']*)|image(?:-set)?\(\s*["']([^"']*)/gi);
  for (const [, url, imported, image] of found)
    if (isRemote((url ?? imported ?? image ?? '').trim(), allowed)) return true;
  return false;
}

/** One that nothing closes goes on to the end, so that a text is gone through once. */
export const withoutCssComments = (css: string): string => css.replace(/\/\*[\s\S]*?(?:\*\/|$)/g, '');

/** Addresses of a `srcset`: what stands before the descriptors of each candidate. */
export const candidatesOf = (srcset: string): string[] =>
  srcset
    .split(/,\s+|,(?=(?:https?:)?\/\/)/i)
    .map((candidate) => candidate.trim().split(/\s/, 1)[0] ?? '')
    .filter(Boolean);
