import type { LeaseView, ProviderAbilities, ProviderKind } from './leases.ts';

/** Whether a credential is over with its time, with all that was opened with it, if nobody ends it. */
export const endsByItself = (
  { canEndSessions, endsOnlyByGatehouse, isStored, sessionsOutlive }: ProviderAbilities,
  ungated: boolean,
): boolean =>
  // What a tool server has opened ends with its process.
  !canEndSessions && !endsOnlyByGatehouse && !isStored && !(sessionsOutlive && ungated);

/** What remains of a credential once it is to end, for whoever lets it be handed out. */
export function residualWords(
  {
    canRevoke,
    canEndSessions,
    maxResidualSeconds,
    isStored,
    endsOnlyByGatehouse,
    sessionsOutlive,
    pastItsTimeSeconds,
    leastSeconds = 0,
  }: ProviderAbilities,
  seconds: number,
): string {
  if (isStored) return "It can't be taken back: it works until somebody changes it where it is kept.";
  const life = Math.max(seconds, leastSeconds);
  const most = maxResidualSeconds === null ? life : Math.min(maxResidualSeconds, life);
  if (!canRevoke)
    return `It can't be taken back: it works until it expires, ${life} s at most, also after a kill.${sessionsOutlive ? ' Sessions that were opened with it go on after that.' : ''}`;
  return [
    `It ends with its task, by a kill, or when it is revoked${most > 0 ? `, and may work for up to ${most} s after that` : ''}.`,
    ...(canEndSessions ? [] : ['What was opened with it before stays open.']),
    ...(endsOnlyByGatehouse ? ['Only Gatehouse ends it: while that is away it works on past its time.'] : []),
    ...(pastItsTimeSeconds === undefined
      ? []
      : [
          `While Gatehouse or its provider is away it works for up to ${secondsWords(pastItsTimeSeconds)} past its time.`,
        ]),
  ].join(' ');
}

/** `90 s`, `15 min`, `2 h`: never less than it is. */
export function secondsWords(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3_600)} h`;
}

/** What of a credential may still work once somebody ends it, for whoever looks at it or at its provider. */
export interface Residual {
  words: string;
  /** In a table. */
  short: string;
  /** Something works on: until its own time is over, or, of what is stored, until somebody changes it. */
  remains: 'nothing' | 'until-expiry' | 'stored';
  /** Once its end is over. */
  after: string;
}

const GONE = 'nothing: verified to be gone';

export function residualOf({
  canRevoke,
  canEndSessions,
  maxResidualSeconds: most,
  isStored,
  sessionsOutlive,
}: ProviderAbilities): Residual {
  if (isStored)
    return {
      words:
        'can’t be taken back: no call gets it any more, and the secret itself works until somebody changes it where it is kept',
      short: 'stays as it is',
      remains: 'stored',
      after: 'the secret itself, as it is where it is kept',
    };
  if (!canRevoke || most === null)
    return sessionsOutlive
      ? {
          words: 'can’t be taken back, and sessions that are open go on past its end: works',
          short: 'until it expires, sessions go on',
          remains: 'until-expiry',
          after: 'sessions that were opened with it, until their host ends them',
        }
      : {
          words: 'can’t be taken back: works',
          short: 'until it expires',
          remains: 'until-expiry',
          after: GONE,
        };
  const what = canEndSessions ? 'it and its sessions are ended' : 'it is ended';
  const sessions = canEndSessions ? '' : '; what was opened with it may go on';
  const when = most === 0 ? 'at once' : `within ${secondsWords(most)}`;
  const open = canEndSessions ? '' : ', sessions go on';
  return {
    words: `${what} ${when}${sessions}`,
    short: `${most === 0 ? 'nothing' : secondsWords(most)}${open}`,
    remains: 'nothing',
    after: GONE,
  };
}

type Issued = Pick<LeaseView, 'maxResidualSeconds' | 'endsByItself'> & { kind: ProviderKind | null };

/** As it was issued. For one whose provider is declared no more, all that is known is what it promised. */
export const abilitiesOf = ({ kind, maxResidualSeconds, endsByItself: ends }: Issued): ProviderKind['abilities'] => ({
  ...(kind
    ? kind.abilities
    : {
        ...{ canNarrow: false, canRenew: false, canEndSessions: false },
        canRevoke: maxResidualSeconds !== null,
      }),
  maxResidualSeconds,
  // Of all that can't be taken back this alone has no end of its own.
  isStored: kind ? kind.abilities.isStored === true : maxResidualSeconds === null && !ends,
});
