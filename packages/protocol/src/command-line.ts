/** The `client_id` of the command line tool, which signs people in by the device flow. */
export const COMMAND_LINE_CLIENT = 'gatehouse-cli';

/** How the command line names itself and its computer (User-Agent). */
export const commandLineAgent = (version: string, host: string): string =>
  `${COMMAND_LINE_CLIENT}/${version} (${host.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 100)})`;

/** The name of the computer in a User-Agent of the command line; undefined for anything else. */
export const commandLineHost = (userAgent: string): string | undefined =>
  /^gatehouse-cli\/[\w.-]{1,40} \(([A-Za-z0-9._-]{1,100})\)$/.exec(userAgent)?.[1];

/** With it a request names the confirmation that its person has given to it. */
export const CONFIRMATION_HEADER = 'gatehouse-confirmation';
