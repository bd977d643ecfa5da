import type { OpenCallRow } from '../open-calls.ts';

/** Approvals and the record. */
export interface RecordTables {
  approvals: {
    id: string;
    action_id: string;
    state: string;
    digest: string;
    agent: string;
    task: string;
    tool: string;
    /** The proven user on whose behalf it is asked: each has a share of what their agent may ask. */
    asked_for: string | null;
    /** Orders the inbox: higher first. */
    risk: number;
    /** The rest of `Approval`, as JSON. */
    body: string;
    created_at: number;
    expires_at: number;
    decided_at: number | null;
    decided_by: string | null;
    reason: string | null;
    /** The WebAuthn assertion that approved, as JSON; verifiable offline with the passkey's public key. */
    assertion: string | null;
    consumed_by: string | null;
    /** Of its arguments: `due` once the body of its action is erased, `done` once they are gone here as well. */
    erasure: string | null;
    /** How many yeses and noes there were: the number of the last one. */
    answers: number;
    /** The longest time of escalation that has been recorded. */
    escalated_seconds: number;
    /** Over what decides in it and over its answers, as long as it is open. */
    seal: Uint8Array | null;
  };

  /** Each yes, with its WebAuthn assertion, and each no. `number` counts those of one approval. */
  approval_votes: {
    approval: string;
    number: number;
    person: string;
    answer: string;
    at: number;
    assertion: string | null;
    reason: string | null;
  };

  /** Who speaks for whom when approvals are decided. */
  deputies: {
    id: string;
    person: string;
    deputy: string;
    from_at: number;
    until_at: number;
    reason: string;
    made_at: number;
    made_by: string;
    withdrawn_at: number | null;
    withdrawn_by: string | null;
    /** The WebAuthn assertion of the person or of whoever confirmed it, as JSON; null: only proposed, and counts for nothing. */
    assertion: string | null;
    confirmed_by: string | null;
    confirmed_at: number | null;
    seal: Uint8Array | null;
  };

  /** Calls that may change something, until it is known what came of them. */
  open_calls: OpenCallRow;
  /** What channels are to be told of an approval, and what became of it. `due_at` of one under way: when another replica may take it over. */
  deliveries: {
    id: string;
    channel: string;
    approval: string;
    event: string;
    recipient: string;
    state: string;
    attempts: number;
    due_at: number;
    created_at: number;
    updated_at: number;
    /** Of `closed`: the delivery that asked. */
    about: string | null;
    /** What the channel calls it, to change it later. */
    reference: string | null;
    error: string | null;
    /** 1: all that would be approved stood in it. */
    whole: number;
    /** When the place was last asked what people have said to it. */
    looked_at: number;
    /** Of before a look said itself, under its seal, what the place had said; read by nobody. */
    open_at: number | null;
    /** Over what was sent, where, and what the place calls it. */
    seal: Uint8Array | null;
  };

  /** Who has looked at what waits, before they answer on a device that shows nothing of it. `id`: APPROVAL/PERSON. */
  approval_looks: {
    id: string;
    approval: string;
    person: string;
    digest: string;
    at: number;
    expires_at: number;
    seal: Uint8Array | null;
  };

  /** Messages that were heard through channels: each counts once. */
  channel_messages: { channel: string; message: string; expires_at: number };

  /**
   * More calls like one that a person has approved. `subject` and `digest` are those of the approval, `terms` what was signed with it
   * (GrantTerms), `assertion` its evidence. `ended_by`: `gatehouse`, or who revoked it.
   */
  standing_grants: {
    id: string;
    approval: string;
    agent: string;
    task: string;
    digest: string;
    subject: string;
    terms: string;
    given_by: string;
    assertion: string;
    expires_at: number;
    ended_at: number | null;
    ended_by: string | null;
    reason: string | null;
    seal: Uint8Array | null;
    /** As of its approval. */
    erasure: string | null;
  };

  /** Emergencies: `subject` is a BreakGlassSubject; the two signatures with what they are verified by. `over_at`: its end is on record. */
  break_glass: {
    id: string;
    agent: string;
    task: string;
    subject: string;
    digest: string;
    requested_at: number;
    first_by: string | null;
    first_assertion: string | null;
    second_by: string | null;
    second_assertion: string | null;
    until: number | null;
    ended_at: number | null;
    ended_by: string | null;
    over_at: number | null;
    reviewed_by: string | null;
    reviewed_at: number | null;
    review: string | null;
    seal: Uint8Array | null;
  };

  logs: { id: string; replica: string; vkey: string; created_at: number };

  records: {
    log: string;
    sequence: number;
    leaf_hash: Uint8Array;
    kind: string;
    action_id: string;
    at: number;
    operation: string;
    agent: string | null;
    task: string | null;
    person: string | null;
    tool: string | null;
    resource: string | null;
    effect: string | null;
    result: string | null;
    approval: string | null;
    ticket: string | null;
    /** The hashed text. */
    entry: string;
  };

  /**
   * Whole records that retention removes: recorded at `recorded_sequence` of `recorded_log` first, and removed once others can see that.
   * `ranges` as in the record; `kept`: those of them that a hold has kept after all.
   */
  removals: {
    id: string;
    log: string;
    first: number;
    last: number;
    ranges: string;
    records: number;
    kept: number;
    rule: string;
    /** 1: copies that are published lose it as well. */
    unpublish: number;
    recorded_log: string;
    recorded_sequence: number;
    recorded_at: number;
    removed_at: number | null;
    unindexed_at: number | null;
    published_at: number | null;
  };
  /**
   * Up to where each log was looked through for records that are kept so many days, by the rules of this version. `again`: when what was passed
   * over was recorded, by a clock that was ahead.
   */
  retention_marks: { log: string; days: number; version: string; sequence: number; again: number | null };
  /**
   * Who stands behind a class that keeps records for less than the minimum. `digest`: of the class, as it was applied then and agreed to. `id`:
   * the action of the record that says so.
   */
  retention_agreements: { class: string; digest: string; person: string; at: number; id: string };

  /** Bodies beside the records, erasable. The digest in the record is over salt and canonical text. */
  bodies: {
    action_id: string;
    kind: string;
    salt: Uint8Array;
    body: string | null;
    created_at: number;
    erased_at: number | null;
  };

  /** What may not be removed. `scope`: KeepingScope as JSON. */
  holds: {
    id: string;
    scope: string;
    reason: string;
    placed_by: string;
    placed_at: number;
    end_asked_by: string | null;
    end_asked_at: number | null;
    ended_by: string | null;
    ended_at: number | null;
    /** Over what is to end, and who asked. */
    end_seal: Uint8Array | null;
    /** Over what was agreed to: without it the hold goes on. */
    ended_seal: Uint8Array | null;
  };

  /**
   * Whose bodies are to be erased before their time. `bounds`: how many records each log had when it was agreed to, as JSON; `reached`: the
   * log and the record with which the walk over them goes on.
   */
  erasures: {
    id: string;
    scope: string;
    reason: string;
    state: string;
    asked_by: string;
    asked_at: number;
    agreed_by: string | null;
    agreed_at: number | null;
    bounds: string | null;
    reached: string | null;
    erased: number;
    held: number;
    ended_at: number | null;
    /** Over what is to be erased, and who asked. */
    seal: Uint8Array | null;
    /** Over the same, who agreed, and `bounds`: without it nothing is erased. */
    agreed_seal: Uint8Array | null;
  };

  /** Full and partial tiles of the Merkle trees (C2SP tlog-tiles): hashes of 32 bytes each. */
  tiles: { log: string; level: number; tile: number; width: number; hashes: Uint8Array };

  checkpoints: {
    log: string;
    size: number;
    note: string;
    at: number;
    /** Lines of witnesses beneath the note. */
    cosignatures: string;
    /** When those were enough by the policy of that time. */
    cosigned_at: number | null;
  };
}
