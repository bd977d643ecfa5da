import type { SequencedRecord, SinkManifest } from '@gatehouse/protocol';
import type { Clock, Json, JsonObject, Outbound, Secret } from '../../platform/index.ts';

/** A record on its way out. */
export interface Outgoing extends SequencedRecord {
  /** Only where the sink wants them: credentials are taken out. */
  arguments?: Json;
}

export interface FormatSurroundings {
  /** Of this program. */
  version: string;
}

/** What a format makes of one record. */
export interface Encoded {
  /** The same for the same record, at every delivery: receivers know repeated ones by it. */
  id: string;
  log: string;
  sequence: number;
  replica: string;
  /** Milliseconds since the epoch. */
  at: number;
  severity: Severity;
  /** One line, without any line break or control character in it. */
  text: string;
  /** `text` is JSON. */
  isJson: boolean;
  /** Where a receiver takes many in one document (OTLP): this one's part of it. */
  part?: string;
  /** Of `text`, for whoever encodes; it does not leave the thread that does. */
  json?: JsonObject;
}

/** 1 informational, 2 low, 3 medium, 4 high, 5 critical: numbered as OCSF does. */
export type Severity = 1 | 2 | 3 | 4 | 5;

export type Format = (record: Outgoing, surroundings: FormatSurroundings) => Pick<Encoded, 'text' | 'part' | 'json'>;

/** Takes batches to one receiver. Made anew when the manifest of its sink changes. */
export interface Destination {
  /**
   * Resolves when the receiver has what is not in `refused`. Throws `DeliveryFailure`, or anything else that went wrong on the way: then the
   * whole batch is tried again.
   */
  send(batch: readonly Encoded[], signal: AbortSignal): Promise<{ refused: ReadonlyMap<number, string> }>;
  close(): Promise<void>;
}

/**
 * `retry`: later. `refused`: it will not take this batch, whenever it is asked; without the record that it dislikes it may. `too-large`: a smaller one
 * will do.
 */
export class DeliveryFailure extends Error {
  override readonly name = 'DeliveryFailure';
  readonly kind: 'retry' | 'refused' | 'too-large';
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: DeliveryFailure['kind'],
    message: string,
    options: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export type OpenSecret = (name: string, destination: string) => Promise<Secret>;

export type SinkOf<Type extends SinkManifest['to']['type']> = SinkManifest & {
  to: Extract<SinkManifest['to'], { type: Type }>;
};

/** What destinations are made with. */
export interface Tools extends FormatSurroundings {
  outbound: Pick<Outbound, 'fetch'>;
  openSecret: OpenSecret;
  dataDir: string;
  clock: Clock;
}
