import type { Requirement } from './requirement.ts';

/** Finding, keeping and proving what was recorded. */
export const records: Requirement[] = [
  {
    id: 'record.canonical-entries',
    promise: 'The text of each record that is hashed is its RFC 8785 form, with every member that the record has',
    source: 'Ledger; law 7',
  },
  {
    id: 'record.search',
    promise:
      'A search finds exactly what reading every record would find, whatever fields are combined, on both databases',
    source: 'Search',
  },
  {
    id: 'record.search-rare',
    promise: 'On PostgreSQL what is rare is found on the first page, in a log of any length',
    source: 'docs/how-to/search-the-record.md',
  },
  {
    id: 'record.search-bodies',
    promise: 'No search finds anything by what stands in arguments or results',
    source: 'Search',
  },
  {
    id: 'record.search-pages',
    promise: 'Pages show each action once and lose none while records are added',
    source: 'Search',
  },
  {
    id: 'record.reads',
    promise:
      'Whoever searches, exports or opens the record is in it: searches counted together, bodies and proofs each by name',
    source: 'Search and keep',
  },
  {
    id: 'record.export',
    promise: 'An export of a part of a log is proven offline to be whole; edited, cut or moved it is found',
    source: 'Search and keep; law 7',
  },
  {
    id: 'record.auditors',
    promise: 'An auditor changes nothing but their own session',
    source: 'Search and keep',
  },
  {
    id: 'record.erasure',
    promise: 'Bodies are erased with their salts when two people want it, and the log verifies as before',
    source: 'Search and keep',
  },
  {
    id: 'record.erasure-preview',
    promise:
      'What an erasure would take is counted before somebody agrees, by the walk and the conditions that take it, and looking changes nothing',
    source: 'docs/how-to/keep-and-erase.md',
  },
  {
    id: 'record.erasure-approvals',
    promise:
      'What approvals and grants keep of erased arguments goes with them, or once they are over; that is told from tampering',
    source: 'Search and keep',
  },
  {
    id: 'record.erasure-beside',
    promise:
      'An erasure takes results that wait, and what unknown calls, deliveries, budgets and endorsed values say of the arguments; no guard against a repetition goes with it',
    source: 'docs/how-to/keep-and-erase.md',
  },
  {
    id: 'approval.salted',
    promise:
      'An approval binds the arguments by the salted digest of their records: what is left when they are erased says nothing to whoever guesses, and still verifies',
    source: 'docs/how-to/keep-and-erase.md',
  },
  {
    id: 'record.erasure-bounds',
    promise:
      'An erasure needs no search index and takes nothing that came after two people agreed, not even after a restore',
    source: 'Search and keep',
  },
  {
    id: 'record.erasure-agreed',
    promise:
      'Nothing is erased, and no hold ends, by what somebody has written to the database: only by what two people agreed to, under its seal or on the signed record',
    source: 'docs/explanation/record.md',
  },
  {
    id: 'record.erasure-people',
    promise: 'What the host’s token asks for, to erase or to end a hold, needs two people',
    source: 'Search and keep',
  },
  {
    id: 'retention.records',
    promise:
      'What a class says goes whole after its time: text, index, arguments; every checkpoint and every proof of other records stays',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.tamper',
    promise: 'A record without content is removed by a record in the log that names exactly it, or it is a fault',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.proofs',
    promise: 'Whatever is removed, what stays is proven, and whatever else is changed is found',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.published',
    promise: 'A published copy loses what was removed once it has the record that says so, and verifies',
    source: 'Search and keep',
  },
  {
    id: 'retention.published-leave',
    promise: 'A published copy keeps what its class leaves there, and everything that no record says was removed',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.published-replicas',
    promise:
      'Each published copy loses what was removed, whichever replica did it and wherever each publishes, and never without the record that says so',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.bytes',
    promise: 'Of what is removed no byte is left in the files of SQLite, the index included',
    source: 'Search and keep',
  },
  {
    id: 'retention.unfindable',
    promise:
      'What is removed is found no more, whatever the clocks said; one that can’t be taken out of the index keeps back no other',
    source: 'Search and keep',
  },
  {
    id: 'retention.hold',
    promise:
      'A removal that is on record and not done yet is done by any replica, but for what a hold keeps by then, which it excuses no more',
    source: 'Search and keep',
  },
  {
    id: 'retention.longest',
    promise:
      'Of all classes that fit the longest counts, an action goes whole or stays whole, and what no class names stays',
    source: 'Search and keep',
  },
  {
    id: 'retention.minimum',
    promise: 'Records are kept for six months at least, unless two people stand behind less',
    source: 'EU AI Act, articles 19(1) and 26(6)',
  },
  {
    id: 'retention.withdraw',
    promise:
      'An agreement to short times is of one apply of a class; it ends with it, or when anybody who may hold withdraws it',
    source: 'Search and keep',
  },
  {
    id: 'retention.on-record',
    promise:
      'Records go only by classes, agreements and ends of holds that the signed log has; rows of the database that it does not speak for stop all removal, or count for nothing',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.never',
    promise: 'Changes go only where they are named, and what others rest on never does',
    source: 'Search and keep; law 7',
  },
  {
    id: 'retention.clock',
    promise:
      'After the clock has leapt no record goes for a day, and none if it is put back, whatever was recorded by it',
    source: 'Search and keep; law 1',
  },
  {
    id: 'retention.clock-doubt',
    promise:
      'By a clock that is minutes from that of the database, or behind what was signed last, neither records nor arguments go by their age',
    source: 'docs/how-to/keep-and-erase.md',
  },
  {
    id: 'retention.sinks',
    promise: 'No record goes by its age that a declared sink has not come to, unless a person has said so',
    source: 'docs/how-to/keep-and-erase.md',
  },
  {
    id: 'retention.race',
    promise: 'Replicas that remove at once name each record once and lose none, and one that is gone hinders no other',
    source: 'Search and keep',
  },
  {
    id: 'retention.told',
    promise:
      'Receipts, exports, the server, the command line and the one-file verifier tell what was removed from what was taken away',
    source: 'Search and keep; law 7',
  },
  {
    id: 'record.hold',
    promise: 'What a hold keeps is not removed by age or erasure; it ends by two people',
    source: 'Search and keep',
  },
  {
    id: 'record.retention',
    promise: 'Arguments are removed by themselves when they are older than the server was told, and that is recorded',
    source: 'Search and keep',
  },
  {
    id: 'record.trace',
    promise: 'A trace shows every step of a task and of what it handed on, in order, each with its place in the log',
    source: 'Prompt to action',
  },
  {
    id: 'record.search-index',
    promise: 'An index that is gone, damaged or of another database is made anew from the record',
    source: 'Search',
  },
];
