import { type ExitCode, exitCodes } from './exit-codes.ts';

/** A verb cannot go on: what happened and what to do next, and how the process ends. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  readonly exitCode: ExitCode;
  readonly code: string;
  /** Further members of the error with `--json`. */
  readonly more: Record<string, unknown>;

  constructor(
    exit: keyof typeof exitCodes,
    code: string,
    message: string,
    { more = {}, ...options }: ErrorOptions & { more?: Record<string, unknown> } = {},
  ) {
    super(message, options);
    this.exitCode = exitCodes[exit];
    this.code = code;
    this.more = more;
  }
}

/** OAuth errors that stand for a broken request or server, and not for a "no". */
const oauthTrouble: Record<string, keyof typeof exitCodes> = {
  temporarily_unavailable: 'unavailable',
  server_error: 'failed',
  invalid_response: 'failed',
};

const UNKNOWN_KEY =
  'What the agent proves itself with is not, or no more, the agent’s: keys are dropped when an owner leaves, for one. `gatehouse agent show NAME` lists those it has; `gatehouse agent enroll NAME` enrols one, with --join-token FILE where there is no operator.';

/** Known by their names: the modules that throw them are only loaded by the verbs that need them. */
export function toFailure(error: unknown): CliFailure {
  if (error instanceof CliFailure) return error;
  if (!(error instanceof Error)) return new CliFailure('failed', 'internal', String(error));
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  const failure = (exit: keyof typeof exitCodes) => new CliFailure(exit, code, error.message, { cause: error });
  if (error.name === 'ManifestFileError')
    return new CliFailure('noInput', 'workspace.invalid', error.message, { cause: error });
  if (code === 'definitions.invalid') return failure('noInput');
  if (error.name !== 'GatehouseRequestError') return failure('failed');
  if (code === 'invalid_client')
    return new CliFailure('refused', code, `${UNKNOWN_KEY} The server says: ${error.message}`, { cause: error });
  const status = 'status' in error ? error.status : 0;
  if (code === 'operator.no-token' || code === 'operator.token') return failure('noPermission');
  if (code.startsWith('server.')) return failure('unavailable');
  if (!code.includes('.')) return failure(oauthTrouble[code] ?? 'refused');
  if (status === 403) return failure('refused');
  if (status === 401) return failure('noPermission');
  return failure(status === 503 || status === 504 ? 'unavailable' : 'failed');
}
