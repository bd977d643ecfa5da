/** How a verb ended, for scripts. 64 and above are those of sysexits(3). Documented in docs/reference/cli.md. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  refused: 2,
  pending: 3,
  usage: 64,
  noInput: 66,
  unavailable: 69,
  noPermission: 77,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeMeanings: Record<keyof typeof exitCodes, string> = {
  ok: 'Done.',
  failed: 'It failed; the message says why.',
  refused: 'Refused by policy or for lack of a role, or denied by a person. Not worth repeating as it is.',
  pending: 'Waits for a person’s approval, or for being confirmed in a browser.',
  usage: 'The command line is wrong.',
  noInput: 'A file or directory that was named cannot be read, or does not hold what it should.',
  unavailable: 'The server, its address or its data directory cannot be had just now.',
  noPermission:
    'Not signed in: the session has ended, or the operator token is missing, unreadable, or not that of this server.',
};
