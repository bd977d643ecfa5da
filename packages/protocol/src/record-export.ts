import { z } from 'zod';

const sequence = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const time = z.string().max(40);

/** The records of a time: `first` to `end`, without it. */
export const exportRangeQuery = z.strictObject({
  from: time.optional(),
  to: time.optional(),
  zone: z.string().min(1).max(60).optional(),
});
export const exportPartQuery = z.strictObject({ first: sequence, end: sequence });

export const exportRemovalsQuery = exportPartQuery.extend({ after: z.string().min(1).max(100).optional() });

/** A record that says what was removed, with its proof. `next`: what to go on after. */
export interface ExportRemovals {
  items: { log: string; sequence: number; entry: string; proof: string; vkey: string }[];
  next: string | null;
}

export interface ExportRange {
  log: string;
  vkey: string;
  first: number;
  end: number;
}

/** At most a thousand, and a few megabytes; each as it stands in the log, whatever became of it. `hash`: of one whose content was removed. */
export interface ExportEntries {
  first: number;
  entries: { entry: string; hash?: string }[];
}

/** Hashes in base64. */
export interface ExportProof {
  left: string[];
  right: string[];
  checkpoint: string;
}

export interface RecordExportApi {
  'GET /logs/:log/range': ExportRange;
  'GET /logs/:log/entries': ExportEntries;
  'GET /logs/:log/range-proof': ExportProof;
  'GET /logs/:log/removals': ExportRemovals;
}
