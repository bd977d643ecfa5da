import { idOf } from '../describe.ts';
import { jsonLine } from '../line.ts';
import type { Format } from '../types.ts';

/** CloudEvents 1.0 in the JSON event format: `source` and `id` together are the same for the same record. */
export const cloudEvents: Format = ({ log, sequence, leafHash, record, arguments: given }) => {
  const json = {
    specversion: '1.0',
    id: idOf(log, sequence),
    source: `https://${log}`,
    type: `gatehouse.record.${record.kind}`,
    ...(record.agent !== null && { subject: record.agent }),
    time: record.time,
    datacontenttype: 'application/json',
    // An extension: ordered within `source` (CloudEvents "sequence").
    sequence: String(sequence).padStart(16, '0'),
    data: { leaf_hash: leafHash, record: { ...record }, ...(given !== undefined && { arguments: given }) },
  };
  return { text: jsonLine(json), json: json as never };
};
