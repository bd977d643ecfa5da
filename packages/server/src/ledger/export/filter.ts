import type { ActionRecord, SinkManifest } from '@gatehouse/protocol';

/** Whether a record goes to the sink: it has to fit all that its filter has. */
export function createFilter({ filter }: Pick<SinkManifest, 'filter'>): (record: ActionRecord) => boolean {
  if (!filter) return () => true;
  const { operations, agents, environments, decisions, labels } = filter;
  return (record) =>
    (operations?.some((pattern) => fits(pattern, record.operation)) ?? true) &&
    (agents === undefined || (record.agent !== null && agents.includes(record.agent))) &&
    (environments === undefined || (record.environment !== null && environments.includes(record.environment))) &&
    (decisions === undefined || (record.decision !== null && decisions.includes(record.decision.effect))) &&
    (labels?.some((label) => record.labels.includes(label)) ?? true);
}

const fits = (pattern: string, operation: string) =>
  pattern.endsWith('*') ? operation.startsWith(pattern.slice(0, -1)) : operation === pattern;
