import { type Environment, type MockTool, NOW, nextId, ToolError, text, texts, timeText } from './environment.ts';

export interface Message {
  id_: string;
  sender: string;
  recipients: string[];
  cc: string[];
  bcc: string[];
  subject: string;
  body: string;
  status: string;
  read: boolean;
  timestamp: string;
  attachments: unknown[];
}

interface Inbox {
  account_email: string;
  emails: Record<string, Message>;
  contact_list: { email: string; name: string }[];
  trash: Record<string, Message>;
}

const inbox = (environment: Environment) => environment.inbox as Inbox;
const all = (environment: Environment) => Object.values(inbox(environment).emails);
const shown = (messages: Message[]) => messages.map(view);
const view = (message: Message) => ({ ...message, timestamp: timeText(message.timestamp) });
const withStatus = (environment: Environment, status: string) =>
  shown(all(environment).filter((message) => message.status === status));

/** A mailbox with an address book. */
export const messages: Record<string, MockTool> = {
  send_email(environment, args) {
    const attachments = Array.isArray(args.attachments) ? args.attachments : [];
    return view(send(environment, { ...args, attachments: attachments.map(attachmentOf) }));
  },
  delete_email(environment, { email_id }) {
    const { emails, trash } = inbox(environment);
    const message = emails[text(email_id)];
    if (!message) throw new ToolError(`Email with ID '${text(email_id)}' not found.`);
    trash[message.id_] = message;
    delete emails[message.id_];
    return `Email with ID '${message.id_}' deleted successfully.`;
  },
  get_unread_emails(environment) {
    const unread = all(environment).filter(({ read }) => !read);
    for (const message of unread) message.read = true;
    return shown(unread);
  },
  get_sent_emails: (environment) => withStatus(environment, 'sent'),
  get_received_emails: (environment) => withStatus(environment, 'received'),
  get_draft_emails: (environment) => withStatus(environment, 'draft'),
  search_emails(environment, { query, sender }) {
    const wanted = text(query).toLowerCase();
    const found = all(environment).filter(
      (message) =>
        (!sender || message.sender === sender) &&
        (message.subject.toLowerCase().includes(wanted) || message.body.toLowerCase().includes(wanted)),
    );
    if (found.length === 0) throw new ToolError('No emails found. Try with a different query.');
    return shown(found);
  },
  search_contacts_by_name: (environment, { query }) => contacts(environment, 'name', query),
  search_contacts_by_email: (environment, { query }) => contacts(environment, 'email', query),
};

/** Also what a calendar does that writes to those who take part. */
export function send(environment: Environment, args: Record<string, unknown>): Message {
  const { account_email, emails, trash } = inbox(environment);
  const message: Message = {
    id_: nextId([...Object.keys(emails), ...Object.keys(trash)]),
    sender: account_email,
    recipients: texts(args.recipients),
    cc: texts(args.cc),
    bcc: texts(args.bcc),
    subject: text(args.subject),
    body: text(args.body),
    status: 'sent',
    read: true,
    timestamp: NOW,
    attachments: Array.isArray(args.attachments) ? args.attachments : [],
  };
  emails[message.id_] = message;
  return message;
}

function attachmentOf(attachment: unknown): unknown {
  const { type, file_id, event_details } = attachment as Record<string, unknown>;
  if (type === 'file') return file_id;
  if (type === 'event') return event_details;
  throw new ToolError('attachment type should be either `file` or `event`.');
}

function contacts(environment: Environment, by: 'name' | 'email', query: unknown) {
  const wanted = text(query).toLowerCase();
  const found = inbox(environment).contact_list.filter((contact) => contact[by].toLowerCase().includes(wanted));
  if (found.length === 0) throw new ToolError(`No contact with ${by} '${text(query)}' found.`);
  return found;
}
