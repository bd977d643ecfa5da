import type { Requirement } from './requirement.ts';

/** The record on its way to where security works. */
export const exported: Requirement[] = [
  {
    id: 'export.delivered',
    promise:
      'Every record since a sink was applied reaches it at least once, in the order of its log, with an id that stays the same',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.apart',
    promise:
      'A sink that hangs, fails or closes delays neither another sink nor the gate, and gets everything when it is back',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.poison',
    promise: 'A record that a sink refuses for good is set aside in sight, and keeps back no other',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.missed',
    promise: 'Records that retention removed before a sink had them are counted for it once, and warned of',
    source: 'Records to where security works; Search and keep',
  },
  {
    id: 'export.paused',
    promise: 'A paused sink loses nothing, and who paused it is on record',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.filtered',
    promise:
      'Nothing goes out that the filter leaves out, no bodies unless that is said, and arguments that are credentials never',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.one-event',
    promise:
      'No text of an agent, a tool or a person ends an event, begins another or makes a field of one, in any format',
    source: 'SECURITY.md#threats',
  },
  {
    id: 'export.schemas',
    promise: 'Events fit the published schemas: OCSF, CloudEvents, OTLP, RFC 5424',
    source: 'docs/reference/ocsf.md',
  },
  {
    id: 'export.real-receivers',
    promise: 'rsyslog over TLS and a service that speaks S3 take what is sent, record for record',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.one-sender',
    promise: 'One replica delivers to a sink at a time, and another goes on where it was when it dies',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
  {
    id: 'export.sinks-kept',
    promise: 'The secret of a sink goes only to the address that it was stored for, and stands in no answer',
    source: 'docs/how-to/send-records-to-your-siem.md',
  },
];
