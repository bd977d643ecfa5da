import { peopleBodies } from '@gatehouse/protocol';
import { browserCookie, companySignInLimits, readBrowserCookie } from '../../identity/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';

/** Sign-in with the company's identity provider: how it begins. It ends at `/oidc/callback/NAME`, where the provider sends the browser. */
export function companySignInRoutes(deps: ApiDependencies): Route[] {
  const { registry } = deps;
  const party = () => ({ https: deps.config.publicUrl.startsWith('https:') });

  return [
    route('GET /signin/providers', 'public', 'Identity providers that people sign in with', {}, async () => ({
      items: [...registry.snapshot().identityProviders.values()].map(({ name, displayName }) => ({
        name,
        displayName,
      })),
    })),
    route(
      'POST /signin/provider',
      'public',
      'Begin to sign in with an identity provider',
      { body: peopleBodies.providerSignIn },
      async ({ body, http }) => {
        const earlier = readBrowserCookie(party(), http.req.header('cookie'));
        const { url, browser } = await deps.companySignIn.begin(body.provider, body.next, earlier);
        http.header('set-cookie', browserCookie(party(), browser, companySignInLimits.signInTtlMs / 1_000));
        return { url };
      },
    ),
  ];
}
