import type { SequencedRecord } from '@gatehouse/protocol';
import { changesInWords } from '@gatehouse/protocol/second-yes-statement';
import { clean, type Output } from './output.ts';

const kindStyles = { request: 'yellow', dispatch: 'cyan', outcome: 'green', change: 'gray' } as const;

/** One record on one line: when, what kind, who, what, and what came of it. */
export function recordLine({ record }: SequencedRecord, out: Output): string {
  const { kind, decision, result, detail } = record;
  const refused = decision?.effect === 'deny' || (result !== null && result !== 'success' && result !== 'anomalous');
  const isUnusual = record.labels.includes('anomalous');
  const what = record.tool ?? record.resource;
  const came =
    kind === 'outcome'
      ? [result, detail]
      : kind === 'change'
        ? [...changesInWords(record), detail]
        : [decision?.effect, decision?.effect === 'allow' ? null : decision?.code, record.approval, detail];
  const gateway = record.gateway && `at gateway ${record.gateway.split('/').at(-1)}`;
  const parts = [record.agent ?? '-', record.operation, what, gateway, ...came].filter((part) => part);
  const text = clean(parts.join('  '));
  return `${record.time}  ${out.style(refused ? 'red' : isUnusual ? 'magenta' : kindStyles[kind], kind.padEnd(8))}  ${text}  ${out.style('dim', record.action_id)}`;
}
