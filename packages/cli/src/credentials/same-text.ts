import { timingSafeEqual } from 'node:crypto';

/** Whether somebody has shown the secret that this is. Of nothing there is none. */
export function isSame(given: string | undefined, secret: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(secret)];
  return b.length > 0 && a.length === b.length && timingSafeEqual(a, b);
}
