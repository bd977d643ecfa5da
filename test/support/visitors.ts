import type { Browser, Page } from 'playwright-core';
import { addVirtualAuthenticator } from './chromium.ts';
import type { Workspace } from './workspace.ts';

/** People in front of the console: each in a browser context of their own, with a platform authenticator. */
export function visitors(browser: Browser, workspace: () => Workspace) {
  /** Everything that a page of ours must never do: reach another host, break the content policy, throw. */
  function watch(page: Page): string[] {
    const faults: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(workspace().url) && !request.url().startsWith('blob:')) faults.push(request.url());
    });
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => {
      // A refused request is an answer that the page shows.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        faults.push(message.text());
    });
    return faults;
  }

  return {
    /** `worker`: with the service worker; without, requests are the page's own, so that a test can stand in for an answer. */
    async open(
      options: { size?: { width: number; height: number }; scheme?: 'light' | 'dark'; worker?: boolean } = {},
    ) {
      const context = await browser.newContext({
        viewport: options.size ?? { width: 1280, height: 900 },
        colorScheme: options.scheme ?? 'light',
        reducedMotion: 'reduce',
        serviceWorkers: options.worker ? 'allow' : 'block',
      });
      const page = await context.newPage();
      const authenticator = await addVirtualAuthenticator(page);
      return { page, authenticator, faults: watch(page) };
    },

    /** By a one-time link to a first passkey (`recovery`: to one that replaces all others), as a person would. */
    async signIn(page: Page, email: string): Promise<void> {
      const { url } = await workspace().operator('POST /people/signin-links', { body: { email, recovery: true } });
      await page.goto(url);
      await page.getByRole('button', { name: 'Use this link' }).click();
      await page.getByRole('button', { name: 'Create the passkey' }).click();
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
    },
  };
}
