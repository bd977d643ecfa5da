import { jsonLine } from '../line.ts';
import type { Format } from '../types.ts';

/** The record as it stands in the log, with its place there and its leaf hash. */
export const jsonLines: Format = ({ log, sequence, leafHash, record, arguments: given }) => {
  const json = {
    log,
    sequence,
    leaf_hash: leafHash,
    record: { ...record },
    ...(given !== undefined && { arguments: given }),
  };
  return { text: jsonLine(json), json: json as never };
};
