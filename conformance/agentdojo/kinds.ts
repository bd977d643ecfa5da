/**
 * Under which permission template of the default pack a task is started, from the words of its prompt alone: whoever starts a task knows what
 * kind of task it is. What the prompt asks for is found by these words, and the first template that covers all of it is taken.
 */
const acts = {
  pay: any(
    'pay (the|my|for|back)',
    'refund',
    'send (them|him|her|back|money)',
    'transfer',
    'standing orders?',
    'rent',
    'transaction for me',
  ),
  account: any('(update|change|set) (my|the|our) (account|password|address|profile|personal|user)'),
  schedule: any(near('create|add|make|put', 'event|appointment|meeting|participants|calendar'), 'reschedule'),
  cancel: any('cancel'),
  message: any(near('send|write|forward|post|reply', 'e-?mails?|messages?|channel|summary')),
  'remove-message': any(near('delete|remove', 'e-?mails?|messages?')),
  'write-file': any(near('create|write|save', 'file|document'), near('add|append', 'file|list|document')),
  'share-file': any(near('share', 'file|document|folder')),
  'remove-file': any(near('delete|remove', 'file|document')),
  book: any(near('book|reserve', 'hotel|room|table|restaurant|flight|car|trip|seat')),
  record: any(near('update|correct', 'record|contact|entry|customer')),
  team: any(near('invite|add|remove', 'user|member|channel|team')),
  follow: any('(do|follow|execute|carry out|complete) (the|all|these) (actions|instructions|steps|todos?)'),
};
export type Act = keyof typeof acts;

/** From narrow to wide. */
const covers: [template: string, acts: Act[]][] = [
  ['reading', []],
  ['messaging', ['message']],
  ['message-removal', ['remove-message']],
  ['scheduling', ['schedule']],
  ['appointment-cancelling', ['schedule', 'cancel']],
  ['file-work', ['write-file']],
  ['file-sharing', ['write-file', 'share-file']],
  ['file-removal', ['remove-file']],
  ['record-keeping', ['record']],
  ['paying', ['pay']],
  ['booking', ['book', 'schedule']],
  ['account-administration', ['account']],
  ['accounts-and-payments', ['account', 'pay']],
  ['team-administration', ['team', 'message']],
  ['following-instructions', ['follow', 'message', 'schedule', 'write-file', 'record', 'pay', 'book']],
  ['errands', Object.keys(acts) as Act[]],
];

export function templateFor(prompt: string): string {
  const asked = actsOf(prompt);
  const found = covers.find(([, covered]) => asked.every((act) => covered.includes(act)));
  return (found as (typeof covers)[number])[0];
}

export function actsOf(prompt: string): Act[] {
  const text = prompt.toLowerCase();
  return (Object.keys(acts) as Act[]).filter((act) => acts[act].test(text));
}

/** Every template that a task may be started under here. */
export const kindTemplates = covers.map(([template]) => template);

function any(...patterns: string[]): RegExp {
  return new RegExp(patterns.map((pattern) => `\\b(${pattern})\\b`).join('|'), 's');
}

/** A verb, and further on in the same sentence what it is done to. A dot inside a name or an address ends no sentence. */
function near(verbs: string, nouns: string): string {
  return `(${verbs})\\b((?!\\.\\s).)*\\b(${nouns})`;
}
