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

/** A request to the server failed: problem details (RFC 9457) or an OAuth error (RFC 6749 §5.2). */
export class GatehouseRequestError extends Error {
  override readonly name: string = 'GatehouseRequestError';
  readonly status: number;
  /** `agent.unknown`, `invalid_client` … */
  readonly code: string;

  constructor(status: number, code: string, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.status = status;
    this.code = code;
  }
}
