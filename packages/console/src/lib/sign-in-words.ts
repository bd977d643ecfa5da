import type { SessionSummaryView } from '@gatehouse/protocol';

/** How a session began, for people. */
export function beganBy({ via, provider }: Pick<SessionSummaryView, 'via' | 'provider'>): string {
  const words: Record<string, string> = {
    passkey: 'passkey',
    oidc: 'company sign-in',
    device: 'command line, let in by passkey',
    link: 'sign-in link',
    recovery: 'recovery link',
    mail: 'link of a mail, for one approval',
  };
  if (via === 'device' && provider !== null) return `command line, let in by company sign-in, ${provider}`;
  const began = words[via] ?? via;
  return provider === null ? began : `${began}, ${provider}`;
}

/** Where somebody is known from. */
export function sourceInWords(source: string): string {
  if (source === 'manifest') return 'declared in files';
  if (source === 'scim') return 'the company’s directory (SCIM)';
  return source.startsWith('oidc/') ? `made at sign-in with ${source.slice('oidc/'.length)}` : source;
}
