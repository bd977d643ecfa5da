import type { ActionRecord, RecordFilter } from '@gatehouse/protocol';

export type FilterOptions = Omit<RecordFilter, 'reads'> & { reads?: boolean };

const FIELDS = [
  'agent',
  'task',
  'person',
  'tool',
  'server',
  'resource',
  'effect',
  'code',
  'result',
  'approval',
  'ticket',
  'operation',
  'environment',
  'template',
  'kind',
  'credential',
  'label',
  'text',
  'from',
  'to',
  'zone',
] as const satisfies (keyof RecordFilter)[];

/** The search of the options: one query for every verb of the log. */
export function toFilter(options: FilterOptions): Record<string, string> {
  const filter: Record<string, string> = options.reads ? { reads: 'shown' } : {};
  for (const field of FIELDS) {
    const value = options[field];
    if (value !== undefined) filter[field] = value;
  }
  return filter;
}

/** Whether a record that comes live is one that the search would find, but for its time. */
export function fits(record: ActionRecord, filter: Record<string, string>): boolean {
  if (record.operation === 'log.read' && filter.reads === undefined && filter.operation === undefined) return false;
  return Object.entries(filter).every(([field, value]) => {
    switch (field as keyof RecordFilter) {
      case 'person':
        return peopleOf(record).includes(value.replace(/^person:/, '').toLowerCase());
      case 'server':
        return record.tool?.split('/', 1)[0] === value;
      case 'effect':
        return record.kind !== 'change' && record.decision?.effect === value;
      case 'code':
        return record.decision?.code === value;
      case 'ticket':
        return record.ticket === value || record.change_request === value;
      case 'credential':
        return record.credentials.some(({ lease, provider }) => lease === value || provider === value);
      case 'label':
        return value.split(',').every((label) => labelsOf(record).includes(label.trim()));
      case 'text':
        return hasWords(record, value);
      case 'from':
      case 'to':
      case 'zone':
      case 'reads':
        return true;
      default:
        return record[field as keyof ActionRecord] === value;
    }
  });
}

const peopleOf = ({ on_behalf_of, requested_by, actor_chain }: ActionRecord) =>
  [on_behalf_of, requested_by, ...actor_chain.map(({ sub }) => sub)]
    .filter((each) => each !== null)
    .map((each) => each.replace(/^person:/, '').toLowerCase());

const labelsOf = ({ labels, result, decision }: ActionRecord) =>
  result === 'anomalous' || decision?.situation?.deviations?.length ? [...labels, 'anomalous'] : labels;

const normal = (text: string) => text.normalize('NFKC').toLowerCase();

function hasWords(record: ActionRecord, asked: string): boolean {
  const { tool, resource, operation, ticket, change_request, detail, intent, changes, agent } = record;
  const text = [tool, resource, operation, ticket, change_request, detail, intent, ...changes, agent].join(' ');
  const words = normal(text).match(/[\p{L}\p{N}]+/gu) ?? [];
  return [...normal(asked).matchAll(/([\p{L}\p{N}]+)(\*?)/gu)].every(([, word = '', star]) =>
    words.some((each) => (star ? each.startsWith(word) : each === word)),
  );
}
