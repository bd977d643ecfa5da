import type { ConsentAnswer, ConsentChoice, ConsentView } from '@gatehouse/protocol';
import type { SignedInPerson } from './workspace.ts';

/**
 * What a browser does with an authorization request, without one: follows redirects with a jar of cookies, and answers on the
 * consent page's behalf through the API. Gives the address that the client is called back at.
 */
export interface Answering {
  /** Which of the choices; the first unless it says otherwise. */
  choose?: (choices: ConsentChoice[]) => ConsentChoice | undefined;
  answer?: Partial<ConsentAnswer>;
  deny?: boolean;
  onView?: (view: ConsentView) => void;
}

export interface Browser {
  cookies: Map<string, string>;
  get(url: string): Promise<Response>;
}

export function openBrowser(): Browser {
  const cookies = new Map<string, string>();
  return {
    cookies,
    async get(url) {
      const response = await fetch(url, {
        redirect: 'manual',
        headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      });
      for (const set of response.headers.getSetCookie()) {
        const [pair = ''] = set.split(';');
        const at = pair.indexOf('=');
        cookies.set(pair.slice(0, at), pair.slice(at + 1));
      }
      return response;
    },
  };
}

export async function authorize(
  url: string | URL,
  person: SignedInPerson,
  how: Answering = {},
  browser: Browser = openBrowser(),
): Promise<URL> {
  const begun = await browser.get(String(url));
  const page = new URL(begun.headers.get('location') ?? (await begun.text()), url);
  const id = /^\/consent\/(browser-[\w-]+)$/.exec(page.pathname)?.[1];
  // Refused at once: the answer goes to the client.
  if (id === undefined) return page;
  const cookie = [person.cookie, ...[...browser.cookies].map(([name, value]) => `${name}=${value}`)].join('; ');
  const { redirect } = await answerConsent(id, { ...person, cookie }, new URL(url).origin, how);
  const resumed = await browser.get(redirect ?? '');
  return new URL(resumed.headers.get('location') ?? (await resumed.text()));
}

/** Answers a request as the console's page does: shows it, takes the choice, sends what was shown back. */
export async function answerConsent(
  id: string,
  person: Pick<SignedInPerson, 'cookie' | 'passkey'>,
  origin: string,
  how: Answering = {},
): Promise<{ redirect: string | null }> {
  const api = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${origin}/api/v1/consents/${id}${path}`, {
      method,
      headers: { cookie: person.cookie, origin, ...(method === 'POST' && { 'content-type': 'application/json' }) },
      ...(method === 'POST' && { body: JSON.stringify(body ?? {}) }),
    });
    const json = (await response.json()) as Record<string, unknown>;
    if (!response.ok)
      throw Object.assign(new Error(`${response.status} ${json.title}: ${json.detail}`), { code: json.title });
    return json;
  };
  const view = (await api('GET', '')) as unknown as ConsentView;
  how.onView?.(view);
  if (how.deny) return (await api('POST', '/deny')) as { redirect: string | null };
  const choice = how.choose?.(view.choices) ?? view.choices[0];
  if (!choice) throw new Error(view.obstacle ?? 'nothing to choose from');
  const answer: ConsentAnswer = {
    agent: choice.agent,
    template: choice.template,
    digest: choice.digest,
    parameters: view.wish?.parameters ?? {},
    intent: view.wish?.intent ?? 'test',
    tools: choice.tools.map(({ ref }) => ref),
    ttlSeconds: choice.ttlSeconds,
    ...how.answer,
  };
  if (view.kind === 'backchannel') {
    const { options } = await api('POST', '/options', answer);
    answer.assertion = person.passkey.assert(options as never, origin) as unknown as Record<string, unknown>;
  }
  return (await api('POST', '/approve', answer)) as { redirect: string | null };
}
