import { errors } from 'oidc-provider';
import { GatehouseError } from '../../platform/index.ts';
import { CredentialError, descriptionText } from '../tokens/credential-error.ts';

/** One refused request is one of these: an error code of the RFC that defines it, and a description that says what to do next. */
export function oauthError(error: string, description: string, status = 400, cause?: unknown): Error {
  const oauth = new errors.CustomOIDCProviderError(error, descriptionText(description));
  return Object.assign(oauth, { status, statusCode: status, expose: true, cause });
}

/** Whose credential was refused, and what the record says of it beyond what the client hears. */
export interface About {
  agent?: string | undefined;
  task?: string | undefined;
  why?: string;
}

const about = new WeakMap<Error, About>();

export function noteAbout(error: Error, what: About): Error {
  about.set(error, what);
  return error;
}

export const aboutOf = (error: Error): About => about.get(error) ?? {};

/** What Gatehouse's own rooms throw, as the token endpoint says it. Undefined for what is not theirs. */
export function oauthErrorOf(error: unknown, refusal = 'invalid_request'): Error | undefined {
  if (error instanceof CredentialError) return oauthError(error.kind, error.message, 400, error.cause);
  if (!(error instanceof GatehouseError)) return undefined;
  switch (error.kind) {
    case 'bad-request':
    case 'forbidden':
    case 'not-found':
    case 'conflict':
    case 'gone':
    case 'too-large':
      return oauthError(refusal, error.message, 400, error.cause);
    case 'too-many':
      return oauthError('temporarily_unavailable', error.message, 429, error.cause);
    case 'unauthenticated':
      return oauthError('invalid_client', error.message, 401, error.cause);
    default:
      return oauthError(
        'temporarily_unavailable',
        error.kind === 'unavailable'
          ? error.message
          : 'Gatehouse cannot do and record this now, so nothing was issued. Try again.',
        503,
        error,
      );
  }
}
