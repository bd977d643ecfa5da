import { actorOf, idOf, outcomeOf, severityOf, titleOf } from '../describe.ts';
import { plainLine } from '../line.ts';
import type { Format } from '../types.ts';

/** Lengths of fields that the format allows. */
const CUSTOM_CHARS = 4_000;
const TEXT_CHARS = 1_023;
const NAME_CHARS = 512;

/** Of 10, by our severity. */
const severities = [0, 0, 3, 5, 8, 10];

/** CEF 0: what an agent or a server chose stands in values only, and every value is escaped. */
export const cef: Format = ({ log, sequence, leafHash, record }, { version }) => {
  const header = [
    'Gatehouse',
    'Gatehouse',
    version,
    record.operation,
    titleOf(record),
    String(severities[severityOf(record)]),
  ].map(headerField);
  const fields: [string, string | number | null | undefined, number?][] = [
    ['rt', Date.parse(record.time)],
    ['externalId', idOf(log, sequence)],
    ['deviceExternalId', record.replica],
    ['cat', record.kind],
    ['act', record.decision?.effect ?? record.operation],
    ['outcome', outcomeOf(record)],
    ['suser', actorOf(record)],
    ['duser', record.on_behalf_of],
    ['sourceServiceName', record.agent],
    ['destinationServiceName', record.tool],
    ['reason', record.decision?.code],
    ['msg', record.detail ?? record.decision?.reason ?? record.changes[0]],
    ...custom('cs1', 'task', record.task),
    ...custom('cs2', 'environment', record.environment),
    ...custom('cs3', 'resource', record.resource),
    ...custom('cs4', 'policies', record.decision?.policies.join(' ')),
    ...custom('cs5', 'leafHash', leafHash),
    ...custom('cs6', 'action', record.action_id),
    ...custom('cn1', 'tier', record.decision?.tier),
    ...custom('flexString1', 'approval', record.approval),
    ...custom('flexString2', 'labels', record.labels.join(' ')),
  ];
  const extension = fields.flatMap(([name, value, most]) =>
    value === null || value === undefined || value === ''
      ? []
      : [`${name}=${extensionValue(String(value), most ?? TEXT_CHARS)}`],
  );
  return { text: `CEF:0|${header.join('|')}|${extension.join(' ')}` };
};

const custom = (
  name: string,
  label: string,
  value: string | number | null | undefined,
): [string, string | number | null | undefined, number?][] =>
  value === null || value === undefined || value === ''
    ? []
    : [
        [name, value, CUSTOM_CHARS],
        [`${name}Label`, label],
      ];

const headerField = (text: string) => plainLine(text, NAME_CHARS).replace(/[\\|]/g, '\\$&');

/** Line breaks of several kinds are one: what matters is that none ends the event. */
const extensionValue = (text: string, most: number) => plainLine(text, most).replace(/[\\=]/g, '\\$&');
