import type { ActionRecord } from '@gatehouse/protocol';
import { canonicalJson, type JsonObject, sha256Hex } from '../../../platform/index.ts';
import { actorOf, guardsOf, idOf, outcomeOf, severityOf, titleOf } from '../describe.ts';
import { jsonLine } from '../line.ts';
import type { Format } from '../types.ts';
import { activityOf, type OcsfClass, ocsfClasses } from './ocsf-classes.ts';

/** `ai_agent` and `attestation_list` are of the version after 1.8.0; a receiver of 1.8 knows all the rest. */
const OCSF_VERSION = '1.9.0-dev';

/** Algorithm of a fingerprint, its serialisation and its encoding, by their numbers there. */
const SHA_256 = 3;
const OTHER = 99;
const JCS = 2;
const HEX = 1;

const statuses = { unknown: 0, success: 1, failure: 2 } as const;

export const ocsf: Format = ({ log, sequence, leafHash, record, arguments: given }, { version }) => {
  const { class: name, activity } = activityOf(record);
  const { uid, category } = ocsfClasses[name];
  const id = idOf(log, sequence);
  const isFinding = category === 2;
  const event: JsonObject = {
    activity_id: activity,
    ...(activity === 99 && { activity_name: record.operation }),
    category_uid: category,
    class_uid: uid,
    type_uid: uid * 100 + activity,
    severity_id: severityOf(record),
    time: Date.parse(record.time),
    message: titleOf(record),
    // Of a finding the status is how far it was looked into.
    ...(!isFinding && { status_id: statuses[outcomeOf(record)] }),
    ...(record.decision && { status_code: record.decision.code }),
    ...((record.decision?.reason ?? record.detail) && { status_detail: record.decision?.reason ?? record.detail }),
    metadata: {
      version: OCSF_VERSION,
      uid: id,
      sequence,
      correlation_uid: record.action_id,
      event_code: record.operation,
      log_name: log,
      original_time: record.time,
      profiles: isFinding ? ['record_integrity'] : ['ai_operation', 'record_integrity'],
      product: { name: 'Gatehouse', vendor_name: 'Gatehouse', version },
      ...(record.labels.length > 0 && { labels: record.labels }),
    },
    // Leaf of the Merkle tree that the record is in: with it, the record is found in the log and proven.
    raw_data_hash: {
      algorithm_id: OTHER,
      algorithm: 'RFC 6962 leaf (SHA-256)',
      encoding_id: HEX,
      serialization_id: JCS,
      value: leafHash,
    },
    ...(!isFinding && aiAgent(record)),
    ...byClass[name](record),
    unmapped: { gatehouse: unmapped(record, given) },
  };
  const attestation = { uid: id, authority_uid: log, chain_uid: log };
  const value = sha256Hex(canonicalJson({ ...event, attestation_list: [attestation] }));
  const fingerprint = { algorithm_id: SHA_256, encoding_id: HEX, serialization_id: JCS, value };
  const json: JsonObject = { ...event, attestation_list: [{ ...attestation, fingerprint }] };
  return { text: jsonLine(json), json };
};

function aiAgent({ agent, actor_chain, task, model, model_provider }: ActionRecord): JsonObject {
  if (agent === null) return {};
  const own = actor_chain.find(({ profile }) => profile === 'ai_agent')?.sub;
  return {
    ai_agent: {
      name: agent,
      uid: own?.endsWith(`/agent/${agent}`) ? own : agent,
      ...(task !== null && { instance_uid: task }),
      ...(model !== null && { ai_model: { name: model, ai_provider: model_provider ?? 'unknown' } }),
    },
  };
}

const user = (sub: string): JsonObject => {
  const name = sub.startsWith('person:') ? sub.slice('person:'.length) : undefined;
  // A user is told apart from a service; what is behind an id is said by the id.
  if (name === undefined) return { uid: sub, type_id: 4 };
  // Whom an agent names has not always an address.
  return {
    uid: sub,
    name,
    type_id: 1,
    ...(/^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+$/.test(name) && { email_addr: name }),
  };
};

/** Whom an administrative change is about: who is named, or else who did it. */
const subjectOf = (record: ActionRecord) => user(record.on_behalf_of ?? record.agent ?? actorOf(record));

const actor = ({ decision, ...record }: ActionRecord): JsonObject => ({
  user: user(actorOf({ decision, ...record })),
  ...(record.task !== null && { session: { uid: record.task } }),
  ...(record.requested_by !== null && { invoked_by: record.requested_by }),
  ...(decision && {
    authorizations: (decision.policies.length > 0 ? decision.policies : [null]).map((uid) => ({
      decision: decision.effect,
      ...(uid !== null && { policy: { uid, version: decision.policyVersion } }),
    })),
  }),
});

const api = (record: ActionRecord): JsonObject => ({
  operation: record.tool === null ? record.operation : `${record.operation} ${record.tool}`,
  request: { uid: record.action_id },
  ...(record.tool !== null && { service: { name: record.tool.split(/[/#]/)[0] ?? record.tool } }),
  ...(record.result !== null && { response: { message: record.result } }),
});

/** Where calls come from: agents are known by who they are, whatever address they call from. */
const source = (record: ActionRecord): JsonObject => ({
  uid: actorOf(record),
  svc_name: record.gateway ?? record.agent ?? 'gatehouse',
  ...(record.decision?.situation?.address !== undefined && { ip: record.decision.situation.address }),
});

const resources = ({ resource }: ActionRecord): JsonObject =>
  resource === null ? {} : { resources: [{ name: resource, uid: resource }] };

const gatehouse: JsonObject = { name: 'Gatehouse' };

const byClass: Record<OcsfClass, (record: ActionRecord) => JsonObject> = {
  api_activity: (record) => ({
    actor: actor(record),
    api: api(record),
    src_endpoint: source(record),
    ...resources(record),
  }),
  authentication: (record) => ({ actor: actor(record), user: subjectOf(record), service: gatehouse }),
  authorize_session: (record) => ({
    actor: actor(record),
    user: subjectOf(record),
    privileges: record.changes.length > 0 ? record.changes : [record.operation],
    ...(record.task !== null && { session: { uid: record.task } }),
  }),
  entity_management: (record) => ({
    actor: actor(record),
    entity: entity(record),
    ...(record.detail !== null && { comment: record.detail }),
  }),
  user_access: (record) => ({
    actor: actor(record),
    user: subjectOf(record),
    privileges: record.changes.length > 0 ? record.changes : [record.operation],
  }),
  account_change: (record) => ({ actor: actor(record), user: subjectOf(record) }),
  detection_finding: (record) => ({
    is_alert: true,
    finding_info: {
      uid: record.action_id,
      title: titleOf(record),
      desc: record.decision?.reason ?? record.detail ?? record.changes[0] ?? record.operation,
      types: guardsOf(record).length > 0 ? guardsOf(record) : [record.result ?? record.operation],
      created_time: Date.parse(record.time),
    },
    evidences: [
      {
        actor: actor(record),
        api: api(record),
        ...resources(record),
        ...(aiAgent(record) as { ai_agent?: JsonObject }),
      },
    ],
  }),
};

function entity({ operation, agent, task, tool, approval, changes }: ActionRecord): JsonObject {
  const type = operation.split(/[./]/)[0] ?? operation;
  const server = tool?.split('/')[0] ?? null;
  const named = new Map(Object.entries({ agent, task, approval, definition: tool, server })).get(type) ?? null;
  return { type, name: named ?? agent ?? tool ?? task ?? changes[0] ?? operation };
}

/** What OCSF has no member for. */
function unmapped(record: ActionRecord, given: unknown): JsonObject {
  const { decision } = record;
  return {
    kind: record.kind,
    replica: record.replica,
    actor_chain: record.actor_chain.map(({ sub }) => sub),
    environment: record.environment,
    template: record.template,
    intent: record.intent,
    tool_definition: record.tool_definition,
    arguments_digest: record.arguments_digest,
    result_digest: record.result_digest,
    result: record.result,
    approval: record.approval,
    ticket: record.ticket,
    change_request: record.change_request,
    changes: record.changes,
    tier: decision?.tier ?? null,
    leases: record.credentials.map(({ lease, provider, state }) => ({ lease, provider, state })),
    ...(given !== undefined && { arguments: given as JsonObject }),
  };
}
