export const sessionLimits = {
  /** Absolute life of a session: a working day with its breaks. */
  sessionTtlMs: 12 * 3_600_000,
  /** A session nobody uses ends: a console left open is somebody else's chance. One of the command line can do less, and is of no use without its key: it lasts. */
  idleTtlMs: 3_600_000,
  /** A session from a link is there to enrol a passkey and for nothing else. */
  enrolmentTtlMs: 15 * 60_000,
  /** A session by the link of a mail: to read one approval and answer it. */
  mailTtlMs: 15 * 60_000,
  /** Links in mails that one person has open. Further mails lead to the page without one. */
  mailLinks: 50,
  /** Passkeys may be added and removed this long after signing in: a stolen cookie is older, as a rule. */
  freshMs: 5 * 60_000,
  /** Use is written down at most this often, so that the idle time is exact to a minute. */
  seenEveryMs: 60_000,
  /** Characters of a browser's name that are kept. */
  userAgentChars: 300,
  /** Sessions of the command line that one person has; of more, the oldest ends. */
  commandLines: 20,
  /**
   * Challenges of passkey sign-in that wait to be answered: anybody can ask for one. Of more, the oldest of the network (an IPv4 address, a
   * /64 of IPv6) that has most give way, so that a flood displaces itself.
   */
  openChallenges: 2_000,
  /** Sessions of one person that a list shows, newest first. */
  listed: 200,
} as const;

export const pushLimits = {
  /** Browsers in which one person is told of what waits; of more, the one seen least lately is forgotten. */
  browsers: 10,
  /** A browser in which nobody has opened the console for this long is forgotten. */
  unseenDays: 90,
  /** Characters of the address that a browser's push service gives. */
  endpointChars: 1_000,
} as const;

export const passkeyLimits = {
  /** How long a passkey by somebody's link is no second person beside them, and one by a link of the server's host none beside anybody. */
  quarantineMs: 7 * 24 * 3_600_000,
  /** After a workspace's first version, links that are made on its host are not looked at in this way. */
  setUpMs: 7 * 24 * 3_600_000,
} as const;
