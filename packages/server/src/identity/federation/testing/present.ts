import * as dpop from 'dpop';
import type { House } from '../../testing/house.ts';

export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** A token request by somebody who has nothing but an assertion; `null` keys send no proof. */
export async function postForm(
  house: House,
  form: Record<string, string>,
  keys?: dpop.KeyPair | null,
): Promise<Answer> {
  const url = `${house.publicUrl}/oauth/token`;
  const pair = keys === undefined ? await dpop.generateKeyPair('ES256') : keys;
  const response = await fetch(url, {
    method: 'POST',
    headers: pair ? { dpop: await dpop.generateProof(pair, url, 'POST') } : {},
    body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', ...form }),
  });
  return answerOf(response);
}

/** A request at one of the doors for those without a key. */
export async function postJson(
  house: House,
  path: string,
  body: unknown,
  proof?: { keys: dpop.KeyPair; credential: string },
): Promise<Answer> {
  const url = house.publicUrl + path;
  // Another replica listens elsewhere than its public URL says.
  const response = await fetch(house.address + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(proof && { dpop: await dpop.generateProof(proof.keys, url, 'POST', undefined, proof.credential) }),
    },
    body: JSON.stringify(body),
  });
  return answerOf(response);
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
}
