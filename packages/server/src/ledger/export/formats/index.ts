import type { SinkFormat } from '@gatehouse/protocol';
import { idOf, severityOf } from '../describe.ts';
import type { Encoded, Format, FormatSurroundings, Outgoing } from '../types.ts';
import { cef } from './cef.ts';
import { cloudEvents } from './cloud-events.ts';
import { ecs } from './ecs.ts';
import { jsonLines } from './json-lines.ts';
import { ocsf } from './ocsf.ts';
import { otlp } from './otlp.ts';

export const formats: Record<SinkFormat, Format> = {
  ocsf,
  ecs,
  cef,
  'json-lines': jsonLines,
  'cloud-events': cloudEvents,
  otlp,
};

export function encode(format: SinkFormat, record: Outgoing, surroundings: FormatSurroundings): Encoded {
  const formatted = formats[format](record, surroundings);
  return {
    id: idOf(record.log, record.sequence),
    log: record.log,
    sequence: record.sequence,
    replica: record.record.replica,
    at: Date.parse(record.record.time),
    severity: severityOf(record.record),
    isJson: formatted.json !== undefined,
    ...formatted,
  };
}
