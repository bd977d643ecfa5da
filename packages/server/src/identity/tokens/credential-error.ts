/** Error codes of RFC 6749 §5.2, RFC 6750 §3.1, RFC 9396 §5 and RFC 9449 §§5, 7, 8 that a refused token or proof becomes. */
export type CredentialErrorKind = 'invalid_token' | 'invalid_dpop_proof' | 'use_dpop_nonce';

/**
 * A token or proof that is refused. The doors turn it into a 401 with a challenge, the token endpoint into an OAuth error.
 * `code` is Gatehouse's own stable code; the message is public and says what to do next.
 */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
  readonly kind: CredentialErrorKind;
  readonly code: string;

  constructor(kind: CredentialErrorKind, code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.code = code;
  }
}

/**
 * Text for `error_description`: RFC 6749 §5.2 allows printable ASCII without `"` and `\`, and so does a quoted-string of
 * WWW-Authenticate without escaping. What an agent sent may stand in such a text, so everything else is replaced.
 */
export function descriptionText(text: string): string {
  return text
    .replaceAll('"', "'")
    .replace(/[^\x20-\x5b\x5d-\x7e]/g, '?')
    .slice(0, 600);
}
