import type { Requirement } from '../requirement.ts';

/** A shell that an agent may share never says yes (law 4). */
export const confirmed: Requirement[] = [
  {
    id: 'law-4.terminal',
    promise:
      'A session of the command line says yes on no route, makes by itself nobody who could, and runs no program on the server’s host, whatever its person’s roles',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation',
    promise:
      'What a session of the command line asks for that could widen what agents or people may do is done only after its person confirmed it in a browser; what reads, stops or narrows is done at once; every route is classified',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-exact',
    promise:
      'A confirmation is for one session, person, method, path and body, and for the plan that was shown; anything else is refused, and the confirmation stays unused',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-person',
    promise:
      'Only the person of the session confirms, in an unrestricted session and with a fresh proof over exactly what was shown; neither the command line, nor an agent, nor the operator can',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-once',
    promise:
      'A confirmation is good for 10 minutes and one use, however many race for it; a no, a withdrawal and the end of the session end it',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-people',
    promise:
      'What changes who gets in is confirmed with a passkey only; anything else also right after a company sign-in by who has no passkey',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-limits',
    promise: 'A session asks 20 times in 10 minutes at most, and for nothing longer than a person reads',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'law-4.confirmation-page',
    promise:
      'The page shows the plan as it would be carried out, which command line asks and since when, to its person alone',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'law-4.confirmation-cli',
    promise:
      'The command line waits for its person, or says where to confirm and exits with 3; Ctrl-C withdraws what it asked for; kill waits for nobody',
    source: 'docs/how-to/sign-in-from-the-command-line.md',
  },
];
