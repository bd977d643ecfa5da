/** What decides, and what decisions rest on. */
export interface PolicyTables {
  /**
   * What was seen: by a task (`task/ID`), by any task of an agent (`agent/NAME`), or by what wrote to a store
   * (`store/ENVIRONMENT/SERVER/NAME`), with the result that brought the label first. `at` of an agent's is the last time.
   */
  flow_labels: { holder: string; label: string; tool: string; action_id: string; task: string; at: number };
  /** Over all labels of one holder. `counter` goes up with each change of them. */
  flow_heads: { holder: string; counter: number; seal: Uint8Array };

  /**
   * Values that a person has endorsed for the rest of a task; `value` as it is compared, `shown` and `covers` (for calls of which
   * kind) as they were signed.
   */
  flow_endorsements: {
    id: string;
    task: string;
    role: string;
    value: string;
    shown: string;
    covers: string;
    approval: string;
    person: string;
    at: number;
    seal: Uint8Array | null;
  };

  /** Every state of what decides; `policy_objects` has what it was made of. `changes`: lines, as JSON. */
  policy_versions: {
    number: number;
    policy_version: string;
    at: number;
    by: string;
    approved_by: string | null;
    proposal: number | null;
    rollback_to: number | null;
    note: string;
    changes: string;
  };

  /** The part of a manifest that decides, from one version until before another; null: until now. */
  policy_objects: { kind: string; name: string; from_version: number; to_version: number | null; body: string };

  /** Changes that wait for a second person, and those that did. `change`: manifests to apply; `shown`: what they do, both as JSON. */
  policy_proposals: {
    number: number;
    state: string;
    author: string;
    note: string;
    /** Version that it was made against. */
    base: number;
    change: string;
    shown: string;
    digest: string;
    created_at: number;
    expires_at: number;
    decided_at: number | null;
    decided_by: string | null;
    reason: string | null;
    /** The WebAuthn assertion that shipped it, as JSON. */
    assertion: string | null;
    /** Of what the host's token has proposed: `person:EMAIL` of the first of two yeses, and its assertion. */
    agreed_by: string | null;
    agreed_assertion: string | null;
    /** ReplayResult, once there is one. */
    replay: string | null;
  };

  /** Results that wait for a person. `labels` is a JSON list. */
  held_results: {
    id: string;
    call_digest: string;
    approval: string | null;
    agent: string;
    task: string;
    action_id: string;
    tool: string;
    reason: string;
    digest: string;
    bytes: number;
    items: number;
    labels: string;
    sealed: Uint8Array;
    created_at: number;
    expires_at: number;
  };

  /**
   * Calls that wait or run as MCP tasks (`waiting`), and what came of them (`done`, `cancelled`). `view` is the server of their address, empty for all of
   * them; `approval` what lets them run, null where nothing has to. `sealed` is the call, `answer` what its client gets.
   */
  waiting_tasks: {
    id: string;
    agent: string;
    agent_epoch: number;
    task: string;
    view: string;
    era: string;
    approval: string | null;
    action_id: string;
    state: string;
    /** Its client has answered what it was asked to open. */
    shown: number;
    sealed: Uint8Array;
    answer: Uint8Array | null;
    created_at: number;
    updated_at: number;
    expires_at: number;
  };

  /** What is used of budgets: one row for each thing that a budget counts for. `state` is a CounterState, `used` in thousandths of the limit. */
  budget_counters: {
    id: string;
    budget: string;
    label: string;
    state: string;
    used: number;
    updated_at: number;
    expires_at: number;
  };

  /** What calls that run have counted, so that it can be given back once. */
  budget_spends: {
    action_id: string;
    counter: string;
    bucket: number;
    count: number;
    items: number;
    sum: number;
    expires_at: number;
  };

  /** What agents usually do: a Profile each, without a tool for all of it; `unusual` is what was left out of it. */
  baselines: { agent: string; tool: string; usual: string; unusual: string | null; updated_at: number };
}
