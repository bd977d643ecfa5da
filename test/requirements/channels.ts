import type { Requirement } from './requirement.ts';

const notifications = 'docs/how-to/be-notified-in-the-browser.md';
const source = 'docs/how-to/tell-people-where-they-are.md';

/** Where people are told, and heard. */
export const channels: Requirement[] = [
  {
    id: 'channel.told',
    promise: 'What waits is told in the transaction that has it wait, and told again when somebody has decided',
    source,
  },
  {
    id: 'channel.signed',
    promise: 'Webhooks are signed as Standard Webhooks says, out and in',
    source: 'Standard Webhooks 1.0',
  },
  {
    id: 'channel.lanes',
    promise: 'A channel that fails or hangs delays no other, and is tried again with one id',
    source,
  },
  { id: 'channel.resumed', promise: 'What waits when a server stops is delivered after its start', source },
  {
    id: 'channel.bounded',
    promise: 'What waits in one channel is bounded, and what is beyond is shown as given up',
    source,
  },
  {
    id: 'channel.once',
    promise:
      'Replicas that look at once deliver a message once, and one that a stopped replica had begun is taken over',
    source,
  },
  { id: 'channel.deny', promise: 'A no in a channel denies, and is on record with the person and the channel', source },
  {
    id: 'channel.inbound',
    promise:
      'What a channel has not signed, is old, was heard before, comes with a token, or is of somebody who may not, decides nothing and is on record',
    source,
  },
  {
    id: 'channel.plain',
    promise: 'Nothing that an agent gives is a link, a mention, markup or hidden in a message',
    source,
  },
  { id: 'channel.minimal', promise: 'A message says no more than its channel shows, and no credential', source },
  {
    id: 'channel.informed',
    promise:
      'A message with the arguments also says who asked, for whom, why it waits, what its task has read and whether it can be undone',
    source: 'docs/how-to/tell-people-where-they-are.md',
  },
  {
    id: 'channel.slack',
    promise: 'Slack shows what waits, denies, and changes its message once it is decided',
    source: 'docs/how-to/tell-people-in-slack.md',
  },
  {
    id: 'channel.slack-signed',
    promise: 'Only what Slack has signed within five minutes is heard',
    source: 'Slack, Verifying requests from Slack',
  },
  {
    id: 'channel.mail',
    promise:
      'A mail goes to those who may decide, over TLS alone, and holds nothing that decides, nor signs in unless its channel says so',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'mail-link.opens',
    promise: 'Opening the link of a mail changes nothing; a click shows its approval, and the yes is the passkey’s',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'mail-link.once',
    promise: 'A link is of one person, one mail and one approval, good for one use in one browser, and kept as a hash',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'mail-link.weak',
    promise: 'The session of a link may look at its approval and answer it; every other route refuses it',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'mail-link.ends',
    promise: 'Links and their sessions end with the decision, with their person, and by time',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'mail-link.bounded',
    promise: 'One person has a bounded number of links open',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'mail-link.secret',
    promise: 'The token of a link stands in its mail and nowhere else',
    source: 'docs/how-to/tell-people-by-mail.md',
  },
  {
    id: 'channel.teams',
    promise: 'Teams shows a card without Markdown of the agent, denies, and changes its card once it is decided',
    source: 'docs/how-to/tell-people-in-teams.md',
  },
  {
    id: 'channel.teams-token',
    promise:
      'Only what the Bot Framework’s connector has signed for this bot and service, with an endorsed key, is heard',
    source: 'Bot Framework, Authentication with the Bot Connector API',
  },
  {
    id: 'channel.jira',
    promise:
      'An issue of Jira counts as mapped, of who moved it last as Jira itself says, and no webhook alone decides',
    source: 'docs/how-to/tell-people-in-jira-and-servicenow.md',
  },
  {
    id: 'channel.servicenow',
    promise: 'A change of ServiceNow counts as mapped, of the approver who has approved it themselves',
    source: 'docs/how-to/tell-people-in-jira-and-servicenow.md',
  },
  {
    id: 'channel.ciba',
    promise:
      'Confirming on a device that shows a code is a yes of who has looked at this very action before, where a rule accepts it; declining denies',
    source: 'OpenID CIBA Core 1.0',
  },
  {
    id: 'channel.text',
    promise: 'A yes in a ticket counts only while the ticket says what was asked, and nobody has edited that',
    source: 'docs/how-to/tell-people-in-jira-and-servicenow.md',
  },
  {
    id: 'channel.accepted',
    promise:
      'A yes in a channel counts where a rule accepts it, of those who may, for the one call, and the record says which',
    source: 'docs/how-to/accept-a-yes-in-a-channel.md',
  },
  {
    id: 'channel.not-accepted',
    promise: 'Where no rule accepts the channel, a yes in it is refused and recorded',
    source: 'docs/how-to/accept-a-yes-in-a-channel.md',
  },
  {
    id: 'channel.yes-sealed',
    promise: 'A yes of a channel that was written or changed in the database approves nothing',
    source: 'docs/how-to/accept-a-yes-in-a-channel.md',
  },
  {
    id: 'channel.seen',
    promise: 'A yes in a channel counts only where the message showed all of the action: nothing cut, nothing masked',
    source: 'docs/how-to/accept-a-yes-in-a-channel.md',
  },
  {
    id: 'channel.bound',
    promise: 'An answer in a ticket counts for the approval that the ticket was opened for, after it was asked',
    source: 'docs/how-to/tell-people-in-jira-and-servicenow.md',
  },
  {
    id: 'channel.known',
    promise: 'A yes counts while the channel still names who said it',
    source: 'docs/how-to/accept-a-yes-in-a-channel.md',
  },
  {
    id: 'channel.heard',
    promise:
      'What was heard counts once for as long as its approval waits; what failed here is heard when it comes again',
    source: 'docs/how-to/accept-a-yes-in-a-channel.md',
  },
  { id: 'channel.all-asked', promise: 'Tickets that nobody answers keep no other from being asked about', source },
  { id: 'channel.test', promise: 'A channel is tried by command and says what is wrong', source },
  {
    id: 'push.told',
    promise:
      'Who may decide is told in the browsers in which they have turned notifications on, and when nobody is needed any more',
    source: notifications,
  },
  {
    id: 'push.encrypted',
    promise: 'A notification is encrypted for its browser, and its push service is shown who sends',
    source: 'RFC 8291, RFC 8292',
  },
  {
    id: 'push.own',
    promise: 'A browser is told of its person’s work alone, and nobody else sees, tries or removes it',
    source: notifications,
  },
  { id: 'push.services', promise: 'Push services that no operator has let in are never called', source: notifications },
  { id: 'push.gone', promise: 'A browser that its push service has forgotten is forgotten', source: 'RFC 8030 §7.3' },
  {
    id: 'push.ends',
    promise:
      'Notifications end with signing out unless they were to stay, with a session that is ended, and with their person',
    source: notifications,
  },
  { id: 'push.test', promise: 'A person tries notifications in a browser of theirs', source: notifications },
  { id: 'push.limits', promise: 'A person is told in ten browsers at most', source: notifications },
  {
    id: 'push.key',
    promise: 'The key that proves who sends is sealed and listed, and can be changed',
    source: notifications,
  },
];
