import { parseTraceParent } from '@opentelemetry/core';
import type { Config } from './config.ts';
import type { Log } from './log.ts';

/** Where something stands in a distributed trace (W3C Trace Context section 3.2). Callers say it, and nothing proves it. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  /** Bit 0: sampled. */
  traceFlags: number;
}

export type SpanAttributes = Record<string, string | number | boolean | string[] | undefined>;

export interface Span {
  /** For the record, and for whoever is called. Undefined: nobody traces this. */
  readonly context: TraceContext | undefined;
  set(attributes: SpanAttributes): void;
  /** `error`: `error.type` of what went wrong, if something did. */
  end(error?: string): void;
}

export interface Tracing {
  /** Whether spans are made here. Otherwise what callers said of their trace is passed on as it is. */
  readonly isOn: boolean;
  begin(
    name: string,
    options: { kind: 'server' | 'client'; parent: TraceContext | undefined; attributes: SpanAttributes },
  ): Span;
  close(): Promise<void>;
}

/** Longer ones are of versions that do not exist. */
const MAX_TRACEPARENT_CHARS = 128;

/** Undefined for whatever is no `traceparent`: a trace that can't be read is none, and stops nothing. */
export function readTraceparent(given: unknown): TraceContext | undefined {
  if (typeof given !== 'string' || given.length > MAX_TRACEPARENT_CHARS) return undefined;
  return parseTraceParent(given) ?? undefined;
}

export const traceparentOf = ({ traceId, spanId, traceFlags }: TraceContext): string =>
  `00-${traceId}-${spanId}-0${traceFlags & 1}`;

const nothing = () => undefined;

/** Makes no spans: who calls and who is called see each other's trace. */
export const noTracing: Tracing = {
  isOn: false,
  begin: (_, { parent }) => ({ context: parent, set: nothing, end: nothing }),
  close: async () => undefined,
};

/** Whether the environment asks for traces; `OTEL_SDK_DISABLED` and `OTEL_TRACES_EXPORTER=none` say no. */
const wantsTraces = (environment: Record<string, string>): boolean =>
  Boolean(environment.OTEL_EXPORTER_OTLP_ENDPOINT || environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) &&
  environment.OTEL_SDK_DISABLED?.toLowerCase() !== 'true' &&
  environment.OTEL_TRACES_EXPORTER !== 'none';

/** The SDK is loaded only where it is wanted. */
export async function openTracing(
  { openTelemetry: environment, replica }: Pick<Config, 'openTelemetry' | 'replica'>,
  log: Log,
): Promise<Tracing> {
  if (!environment || !wantsTraces(environment)) return noTracing;
  const { openTelemetry } = await import('./open-telemetry.ts');
  return openTelemetry(environment, { replica }, log);
}
