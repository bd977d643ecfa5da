/**
 * Where to go after signing in. Only a path of this console: whoever makes somebody open a sign-in page must not choose where the
 * person lands afterwards.
 */
export function safeNext(next: unknown): string {
  if (typeof next !== 'string' || next.length > 2_000) return '/';
  const base = 'http://gatehouse.invalid';
  if (!/^\/(?![/\\])/.test(next) || !URL.canParse(next, base)) return '/';
  const url = new URL(next, base);
  if (url.origin !== base || url.pathname.startsWith('/sign-in') || url.pathname.startsWith('//')) return '/';
  return url.pathname + url.search + url.hash;
}
