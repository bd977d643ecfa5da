import type { ArgumentRole } from '@gatehouse/protocol';
import { canonical } from './canonical.ts';

/** Which result something was read in. */
export interface Source {
  tool: string;
  actionId: string;
}

/** A value that was all that stood in a field. */
export interface Field extends Source {
  value: string | number;
  role: ArgumentRole | null;
  /** The object in which it stood, among all that the task has read. */
  record: number;
}

/** Shorter values stand in many places by chance. */
export const PIECE_CHARS = 4;

/** Roles whose values name the same kind of thing. */
const alike: Partial<Record<ArgumentRole, readonly ArgumentRole[]>> = {
  recipient: ['account', 'name'],
  account: ['recipient'],
};

interface Found {
  source: Source;
  records: number[];
}

export const createFieldsByUnit = () => ({ whole: createFields(), cents: createFields(), other: createFields() });

/** Values of fields by what they stand for, compared as each role compares. */
export function createFields() {
  const byRole = new Map<ArgumentRole | null, Field[]>();
  const compared = new Map<string, { upTo: number; values: Map<string, Found> }>();

  function among(from: ArgumentRole | null, as: ArgumentRole): Map<string, Found> {
    const fields = byRole.get(from) ?? [];
    const key = `${from} ${as}`;
    const known = compared.get(key) ?? { upTo: 0, values: new Map<string, Found>() };
    compared.set(key, known);
    for (; known.upTo < fields.length; known.upTo++) {
      const { value, tool, actionId, record } = fields[known.upTo] as Field;
      const writing = canonical(value, as);
      if (writing === null) continue;
      const { records = [] } = known.values.get(writing) ?? {};
      records.push(record);
      known.values.set(writing, { source: { tool, actionId }, records });
    }
    return known.values;
  }

  function found(value: string | number, role: ArgumentRole): Found[] {
    const writing = canonical(value, role);
    return writing === null
      ? []
      : [role, ...(alike[role] ?? [])].flatMap((from) => among(from, role).get(writing) ?? []);
  }

  return {
    add(field: Field) {
      const fields = byRole.get(field.role);
      if (fields) fields.push(field);
      else byRole.set(field.role, [field]);
    },
    /** `anyRole`: also where nobody said what the field stands for, if the value is too long to stand there by chance. */
    find(value: string | number, role: ArgumentRole, anyRole: boolean): Source | undefined {
      const [first] = found(value, role);
      if (first || !anyRole) return first?.source;
      const writing = canonical(value, role);
      return writing !== null && writing.length >= PIECE_CHARS ? among(null, role).get(writing)?.source : undefined;
    },
    recordsOf: (value: string | number, role: ArgumentRole) => found(value, role).flatMap(({ records }) => records),
  };
}
