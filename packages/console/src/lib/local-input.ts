/** Between the API's RFC 3339 in UTC and the browser's `datetime-local` field, which knows the reader's zone only. */
export function toLocalInput(utc: string | undefined): string {
  const at = utc === undefined ? Number.NaN : Date.parse(utc);
  if (Number.isNaN(at)) return '';
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function fromLocalInput(local: string): string | undefined {
  const at = Date.parse(local);
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}
