import { type Browser, chromium, type Page } from 'playwright-core';
import { findChromium } from './chromium-binary.ts';

/**
 * A real browser for tests, headless. It reaches this machine and nothing else, so that a page which needs a foreign
 * host fails. Where there is none: throws in CI, elsewhere says on stderr how to get it and gives nothing, so that the
 * test can be skipped. Close it; it also ends with this process.
 */
export async function launchChromium(): Promise<Browser | undefined> {
  const found = findChromium();
  if ('missing' in found) {
    if (process.env.CI) throw new Error(found.missing);
    console.error(`Tests in a browser are skipped. ${found.missing}`);
    return undefined;
  }
  const { path, env } = found.binary;
  return chromium.launch({
    executablePath: path,
    env: { ...process.env, ...env },
    headless: true,
    // The sandbox can't start as root nor in most containers, and the pages are our own.
    chromiumSandbox: false,
    args: [
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-zygote',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]',
    ],
  });
}

export type PasskeyCredential = {
  credentialId: string;
  isResidentCredential: boolean;
  rpId?: string;
  privateKey: string;
  userHandle?: string;
  signCount: number;
};

export type VirtualAuthenticator = {
  /** The passkeys it holds, with their private keys; binary values in base64. */
  credentials(): Promise<PasskeyCredential[]>;
  /** Whether its person passes the check (fingerprint, PIN); true at first. */
  setUserVerified(verified: boolean): Promise<void>;
  remove(): Promise<void>;
};

/**
 * Gives `page` a platform authenticator whose person always says yes. Other pages don't have it: to use the same passkeys
 * on another page, add one there with `credentials`.
 */
export async function addVirtualAuthenticator(
  page: Page,
  { credentials = [] }: { credentials?: readonly PasskeyCredential[] } = {},
): Promise<VirtualAuthenticator> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  for (const credential of credentials) await devtools.send('WebAuthn.addCredential', { authenticatorId, credential });
  return {
    credentials: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    setUserVerified: async (isUserVerified) => {
      await devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
    },
    remove: async () => {
      await devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
      await devtools.detach();
    },
  };
}
