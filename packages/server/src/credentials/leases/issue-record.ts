import type { ActionRecord, CredentialProviderManifest } from '@gatehouse/protocol';
import { digestJson, type Json, parseStrictJson } from '../../platform/index.ts';
import { placeOf } from '../same-place.ts';
import type { Issued, LeaseRow } from './rows.ts';

export const ISSUE = 'lease.issue';

/** Where it was made, in a digest: what is declared there later is compared with it. */
export const placeDigest = (declared: Json): string =>
  digestJson(placeOf((declared as unknown as CredentialProviderManifest).from));

/** What the record says of one that is about to be made. A missing row is put back from it. */
export const issueLines = (row: LeaseRow, declared: Json): string[] => [
  `lease ${row.id} of ${row.provider} for ${row.purpose}${row.ungated ? UNGATED : ''}`,
  `scope ${row.scope}`,
  `until ${new Date(row.expires_at).toISOString()}`,
  `place ${placeDigest(declared)}`,
  ...(JSON.parse(row.clamped) as string[]).map((why) => `no longer, as ${why}`),
];

const UNGATED = ', ungated';

/** What was issued by the record. */
export interface RecordedIssue extends Omit<Issued, 'intended_at' | 'making_until'> {
  id: string;
  ungated: number;
  issuedAt: number;
  place: string;
}

/** Undefined where it is no such record, or one of before records said where. */
export function readIssue(entry: string): RecordedIssue | undefined {
  const record = recordIn(entry);
  if (record?.kind !== 'change' || record.operation !== ISSUE) return undefined;
  const [first = '', scope = '', , place = ''] = record.changes;
  const [, id, provider, rest] = /^lease (lse_\w+) of (\S+) for (.*)$/s.exec(first) ?? [];
  if (id === undefined || provider === undefined || rest === undefined) return undefined;
  if (!scope.startsWith('scope ') || !place.startsWith('place ')) return undefined;
  const ungated = rest.endsWith(UNGATED);
  return {
    ...{
      id,
      provider,
      ungated: ungated ? 1 : 0,
      scope: scope.slice('scope '.length),
      place: place.slice('place '.length),
    },
    purpose: ungated ? rest.slice(0, -UNGATED.length) : rest,
    ...{ agent: record.agent ?? '', task: record.task ?? '', environment: record.environment ?? '' },
    issuedAt: Date.parse(record.time),
  };
}

/** What was removed by its age, or is no JSON any more, is no record. */
export function recordIn(entry: string): ActionRecord | undefined {
  if (entry === '') return undefined;
  try {
    return parseStrictJson(Buffer.from(entry)) as unknown as ActionRecord;
  } catch {
    return undefined;
  }
}
