import type { Requirement } from './requirement.ts';

/** People, their roles and directories, and what the console shows them. */
export const people: Requirement[] = [
  {
    id: 'people.sealed',
    promise:
      'A passkey, a session or a sign-in link that was written into the database, or changed there, lets nobody in and approves nothing',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'people.sealed-doubt',
    promise:
      'No edit of the database takes a passkey that a link of somebody else led to out of doubt, neither by itself nor for one that is enrolled beside it',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'people.sealed-once',
    promise:
      'Passkeys from before there were seals are sealed once, by name in the record, and never again, whatever the database says',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'console.live-credentials',
    promise:
      'The console lists every credential that an agent could act with now, and none that a kill or the end of its task has made worthless',
    source: 'docs/how-to/see-what-an-agent-can-act-with.md',
  },
  {
    id: 'console.shown-once',
    promise: 'A token that is shown once is on no page after it, and a token that is tested is kept nowhere',
    source: 'docs/how-to/see-what-an-agent-can-act-with.md',
  },
  {
    id: 'terminal.sign-in',
    promise:
      'A person signs in at a terminal by saying yes in a browser, with a fresh passkey, to what is shown: who asks, from where, as whom',
    source: 'RFC 8628 §§3.3, 5.4',
  },
  {
    id: 'terminal.bound',
    promise: 'A session of a terminal is good only with a proof by its key for that request, once, on every route',
    source: 'RFC 9449 §7',
  },
  {
    id: 'terminal.place',
    promise:
      'A terminal’s token is good as no cookie, a cookie as no terminal’s token, and neither at a terminal for adding a passkey',
    source: 'docs/how-to/sign-in-from-the-command-line.md',
  },
  {
    id: 'terminal.grant',
    promise: 'What was granted to one key gives no session to another, and is no consent to an agent',
    source: 'RFC 9449 §10',
  },
  {
    id: 'terminal.leaver',
    promise: 'Who has left, or signed out before the terminal came for its session, gets none and keeps none',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'terminal.cli',
    promise:
      'gatehouse login keeps a session where only its user can read it and uses no other; every verb is then its person’s; gatehouse logout ends it at the server',
    source: 'docs/how-to/sign-in-from-the-command-line.md',
  },
  {
    id: 'terminal.page',
    promise:
      'The page for a command line says who asks, from where, as whom, and what it never may; it takes a passkey, or a company sign-in of the last five minutes from who has no passkey',
    source: 'RFC 8628 §§3.3, 5.4',
  },
  {
    id: 'terminal.limit',
    promise: 'A person has 20 terminals at most; of more the oldest ends',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'oidc.vouched',
    promise:
      'Whom only an identity provider knows signs in there again every day, or as often as its manifest says; until then no passkey, link or terminal opens anything, and a logout there ends what they opened',
    source: 'docs/how-to/company-sign-in.md',
  },
  {
    id: 'people.last-admin',
    promise:
      'No apply and no offboarding leaves nobody with the role admin; a change by the directory or a provider that does is on record',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'people.successor',
    promise: 'Nobody has somebody leave and names themselves to take their agents over',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'people.challenge-flood',
    promise: 'Whoever asks for sign-in challenges without end displaces their own, and nobody else’s',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'people.leaves-nothing',
    promise:
      'However somebody leaves, no session, passkey, link, delegation, code, refresh token, device code or CIBA request of theirs is good afterwards, and reinstating brings none back',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'people.offboard',
    promise: 'Agents and what they wait for go to the successor; an apply undoes none of it',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'people.hand-over',
    promise:
      'What whoever leaves holds of their agents mints nothing, with a successor or without: open join tokens in any case, keys and all that was got with them unless somebody chose to keep them',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'roles.table',
    promise: 'Every route of the control API lets in exactly the roles that docs/reference/roles.md names',
    source: 'docs/reference/roles.md',
  },
  {
    id: 'roles.denied-recorded',
    promise: 'Who tries to change what they may not is on record',
    source: 'SECURITY.md#law-1',
  },
  {
    id: 'roles.policy-error',
    promise: 'A policy of the control API that cannot be evaluated denies',
    source: 'SECURITY.md#law-2',
  },
  {
    id: 'roles.laws-stay',
    promise:
      'No policy of a workspace lets the operator approve, gives an agent a place at the control API, or locks the host out',
    source: 'SECURITY.md#law-4',
  },
  {
    id: 'scim.bearer',
    promise: 'A directory’s token is good at /scim only, is stored as a digest, shown once and revoked at once',
    source: 'RFC 7644 §2',
  },
  {
    id: 'scim.provision',
    promise: 'Users and groups come and change by SCIM; roles come only from mappings that a manifest declares',
    source: 'RFC 7644 §§3.3–3.5',
  },
  {
    id: 'scim.declared',
    promise: 'A directory adds nothing to whom a manifest declares',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'scim.attributes',
    promise: 'Answers have the attributes that were asked for, or all but those not wanted; id and schemas in any case',
    source: 'RFC 7644 §3.9',
  },
  {
    id: 'scim.pages',
    promise: 'A page of a directory’s list is cut in the database; a filter keeps no more than the page',
    source: 'docs/how-to/provision-people.md',
  },
  {
    id: 'scim.costly',
    promise:
      'No filter and no path of a directory keeps the server busy: groups, comparisons and characters are bounded',
    source: 'RFC 7644 §3.4.2.2; docs/reference/limits.md',
  },
  {
    id: 'scim.filter-bound',
    promise: 'A filter that no index serves is matched against so many resources and no more, a piece at a time',
    source: 'docs/reference/limits.md',
  },
  {
    id: 'scim.not-back',
    promise: 'A directory brings nobody back who was offboarded here',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'scim.leaver',
    promise: 'Who is deactivated or deleted in the directory has left: sessions and passkeys end in one transaction',
    source: 'docs/explanation/roles.md',
  },
  {
    id: 'people.passkey-by-link',
    promise:
      'A passkey that somebody’s link has led to is for 7 days no second person beside whoever made the link, unless another admin confirms it; by a link of the host of a workspace that is set up, beside nobody',
    source: 'docs/explanation/roles.md',
  },
];
