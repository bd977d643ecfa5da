import type { Json, JsonObject } from '../../../platform/index.ts';
import { actorOf, idOf, outcomeOf, severityOf, titleOf } from '../describe.ts';
import { jsonLine } from '../line.ts';
import type { Format } from '../types.ts';

/** `SeverityNumber` by our severity: INFO, INFO2, WARN, ERROR, FATAL. */
const severityNumbers = [0, 9, 10, 13, 17, 21];
const severityTexts = ['', 'INFO', 'INFO2', 'WARN', 'ERROR', 'FATAL'];

/**
 * A log record of OpenTelemetry in the JSON encoding of OTLP. `text` is a whole `LogsData`, as files of OTLP hold one in each line; `part` is
 * the record alone, from which a request for many is put together (`logsData`).
 */
export const otlp: Format = ({ log, sequence, leafHash, record, arguments: given }, { version }) => {
  const severity = severityOf(record);
  const { decision } = record;
  const json: JsonObject = {
    timeUnixNano: `${Date.parse(record.time)}000000`,
    observedTimeUnixNano: `${Date.parse(record.time)}000000`,
    severityNumber: severityNumbers[severity] ?? 0,
    severityText: severityTexts[severity] ?? '',
    eventName: `gatehouse.record.${record.kind}`,
    body: { stringValue: titleOf(record) },
    attributes: attributes({
      'log.record.uid': idOf(log, sequence),
      'gen_ai.operation.name': record.operation === 'tools/call' ? 'execute_tool' : null,
      'gen_ai.agent.name': record.agent,
      'gen_ai.tool.name': record.tool,
      'gen_ai.request.model': record.model,
      'gen_ai.conversation.id': record.task,
      'mcp.method.name': record.kind === 'change' ? null : record.operation,
      'error.type': outcomeOf(record) === 'failure' ? (decision?.code ?? 'tool_error') : null,
      'enduser.id': record.on_behalf_of,
      'deployment.environment.name': record.environment,
      'gatehouse.log': log,
      'gatehouse.sequence': sequence,
      'gatehouse.leaf_hash': leafHash,
      'gatehouse.operation': record.operation,
      'gatehouse.action_id': record.action_id,
      'gatehouse.actor': actorOf(record),
      'gatehouse.actor_chain': record.actor_chain.map(({ sub }) => sub),
      'gatehouse.template': record.template,
      'gatehouse.resource': record.resource,
      'gatehouse.decision': decision?.effect ?? null,
      'gatehouse.tier': decision?.tier ?? null,
      'gatehouse.code': decision?.code ?? null,
      'gatehouse.reason': decision?.reason ?? null,
      'gatehouse.policies': decision?.policies ?? [],
      'gatehouse.policy_version': decision?.policyVersion ?? null,
      'gatehouse.labels': record.labels,
      'gatehouse.approval': record.approval,
      'gatehouse.ticket': record.ticket,
      'gatehouse.intent': record.intent,
      'gatehouse.result': record.result,
      'gatehouse.changes': record.changes,
      'gatehouse.detail': record.detail,
      'gatehouse.arguments': given === undefined ? null : JSON.stringify(given),
    }),
  };
  const part = jsonLine(json);
  return { text: logsData([part], record.replica, version), part, json };
};

/** Of records that are JSON already: nothing is turned into text a second time. */
export function logsData(parts: readonly string[], replica: string, version: string): string {
  const resource = attributes({
    'service.name': 'gatehouse',
    'service.version': version,
    'service.instance.id': replica,
  });
  const scope = { name: 'gatehouse', version };
  return `{"resourceLogs":[{"resource":${jsonLine({ attributes: resource })},"scopeLogs":[{"scope":${jsonLine(scope)},"logRecords":[${parts.join(',')}]}]}]}`;
}

function attributes(values: Record<string, string | number | string[] | null>): Json[] {
  return Object.entries(values).flatMap(([key, value]): Json[] => {
    if (value === null || (Array.isArray(value) && value.length === 0)) return [];
    if (typeof value === 'number') return [{ key, value: { intValue: String(value) } }];
    if (typeof value === 'string') return [{ key, value: { stringValue: value } }];
    return [{ key, value: { arrayValue: { values: value.map((stringValue) => ({ stringValue })) } } }];
  });
}
