/**
 * Ties a consent to the browser in which the client has opened it. Without it, somebody could begin an authorization in their own
 * browser, have another person say yes on the page, and take the code home. One cookie for each request, because applications open
 * several pages at once.
 */
const name = (uid: string, https: boolean) => `${https ? '__Host-' : ''}gatehouse_consent_${uid}`;

export function consentCookie(
  uid: string,
  { https, maxAgeSeconds }: { https: boolean; maxAgeSeconds: number },
): string {
  const attributes = `Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;
  return `${name(uid, https)}=1; ${attributes}${https ? '; Secure' : ''}`;
}

export function carriesConsentCookie(header: string | undefined, uid: string, https: boolean): boolean {
  return (header ?? '').split(';').some((part) => part.trim() === `${name(uid, https)}=1`);
}
