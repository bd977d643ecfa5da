import assert from 'node:assert/strict';
/** A browser that opens the address of a connect at a gate, and goes on where the operator has to say so. */
export async function openConnect(
  gate: { url: string },
  address: string,
  { cookie, person = cookie !== undefined }: { cookie?: string; person?: boolean } = {},
): Promise<{ url: string; cookie: string }> {
  const answer = await fetch(address, {
    method: person ? 'GET' : 'POST',
    headers: { origin: gate.url, ...(cookie !== undefined && { cookie }) },
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  const [, url = ''] = /content="0;url=([^"]+)"/.exec(text) ?? [];
  return { url: url.replaceAll('&amp;', '&'), cookie: answer.headers.getSetCookie().join().split(';')[0] ?? '' };
}
