/** The gate refused an action: what stopped it, and what to do instead. Not worth retrying as it is. */
export class GatehouseRefusal extends Error {
  override readonly name: string = 'GatehouseRefusal';
  readonly code: string;
  readonly actionId: string | null;

  constructor(code: string, reason: string, actionId: string | null = null, options?: ErrorOptions) {
    super(reason, options);
    this.code = code;
    this.actionId = actionId;
  }
}

/** A person has to approve exactly this action at `url`. Afterwards the same call with the same arguments goes through, once. */
export class ApprovalPending extends Error {
  override readonly name: string = 'ApprovalPending';
  readonly approval: string;
  readonly url: string;
  readonly retryAfterSeconds: number;

  constructor(approval: string, url: string, retryAfterSeconds: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.approval = approval;
    this.url = url;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** `not-sent`: nothing ran, so it is safe to try again. `unknown`: it may have taken effect; look before repeating it. */
export class OutcomeUncertain extends Error {
  override readonly name: string = 'OutcomeUncertain';
  readonly state: 'not-sent' | 'unknown';
  readonly actionId: string | null;

  constructor(state: 'not-sent' | 'unknown', message: string, actionId: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.state = state;
    this.actionId = actionId;
  }
}

/** A request to the server failed: problem details (RFC 9457) or an OAuth error (RFC 6749 §5.2). Status 0: nobody answered. */
export class GatehouseRequestError extends Error {
  override readonly name: string = 'GatehouseRequestError';
  readonly status: number;
  /** `agent.unknown`, `invalid_client`, `server.unreachable` … */
  readonly code: string;

  constructor(status: number, code: string, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.status = status;
    this.code = code;
  }
}
