import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode, parseKeyPairsIntoRecord } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { GatehouseError } from './errors.ts';
import type { Log } from './log.ts';
import type { Tracing } from './tracing.ts';

const EXPORT_TIMEOUT_MS = 10_000;
/** Spans that wait for a collector; what comes on top is dropped. The record is the ledger's, not this. */
const WAITING_SPANS = 2_048;
const ATTRIBUTE_CHARS = 1_024;

/**
 * Spans of actions to a collector, by OTLP over HTTP. `environment`: the `OTEL_…` variables as the OpenTelemetry specification has them
 * (endpoint, headers, sampler, service name, resource attributes). Throws when one of them can't be read.
 */
export function openTelemetry(environment: Record<string, string>, identity: { replica: string }, log: Log): Tracing {
  const exporter = saying(
    new OTLPTraceExporter({
      url: tracesUrl(environment),
      headers: {
        ...parseKeyPairsIntoRecord(environment.OTEL_EXPORTER_OTLP_HEADERS),
        ...parseKeyPairsIntoRecord(environment.OTEL_EXPORTER_OTLP_TRACES_HEADERS),
      },
      timeoutMillis: EXPORT_TIMEOUT_MS,
    }),
    log,
  );
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': environment.OTEL_SERVICE_NAME || 'gatehouse',
        'service.instance.id': identity.replica,
        ...parseKeyPairsIntoRecord(environment.OTEL_RESOURCE_ATTRIBUTES),
      }),
    ),
    sampler: samplerOf(environment),
    spanLimits: { attributeValueLengthLimit: ATTRIBUTE_CHARS },
    spanProcessors: [
      new BatchSpanProcessor({ exporter, exportTimeoutMillis: EXPORT_TIMEOUT_MS, maxQueueSize: WAITING_SPANS }),
    ],
  });
  const tracer = provider.getTracer('gatehouse');

  return {
    isOn: true,
    begin(name, { kind, parent, attributes }) {
      const context = parent
        ? trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: kind === 'server' })
        : ROOT_CONTEXT;
      const span = tracer.startSpan(
        name,
        { kind: kind === 'server' ? SpanKind.SERVER : SpanKind.CLIENT, attributes },
        context,
      );
      return {
        context: span.spanContext(),
        set: (more) => void span.setAttributes(more),
        end(error) {
          if (error !== undefined) {
            span.setAttribute('error.type', error);
            span.setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
    },
    close: () => provider.shutdown().catch((error: unknown) => log.warn('the last spans were not sent', { error })),
  };
}

/** The address for traces is used as it is; to the common one the path is appended (OTLP exporter specification). */
function tracesUrl({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: common }: Env): string {
  const given = own || common || '';
  const url = URL.parse(given);
  if (!url || !/^https?:$/.test(url.protocol))
    throw unreadable(`"${given}" is not the http or https address of an OpenTelemetry collector (OTLP over HTTP).`);
  return own ? given : `${given.replace(/\/$/, '')}/v1/traces`;
}

const unreadable = (detail: string) => new GatehouseError('bad-request', 'otel.unreadable', detail);

type Env = Record<string, string>;

function samplerOf({
  OTEL_TRACES_SAMPLER: name = 'parentbased_always_on',
  OTEL_TRACES_SAMPLER_ARG: given,
}: Env): Sampler {
  const ratio = Number(given ?? 1);
  const roots: Record<string, () => Sampler> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  const root = roots[name.replace(/^parentbased_/, '')];
  if (!root || !(ratio >= 0 && ratio <= 1))
    throw unreadable(
      `OTEL_TRACES_SAMPLER is one of ${Object.keys(roots).join(', ')}, each also with parentbased_ before it; OTEL_TRACES_SAMPLER_ARG is a number from 0 to 1.`,
    );
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root: root() }) : root();
}

/** Says when spans begin to be lost and when they arrive again, and not in between. */
function saying(exporter: SpanExporter, log: Log): SpanExporter {
  let isLosing = false;
  return {
    export(spans: ReadableSpan[], done: (result: ExportResult) => void) {
      exporter.export(spans, (result) => {
        const isLost = result.code !== ExportResultCode.SUCCESS;
        if (isLost && !isLosing)
          log.warn('spans do not arrive at the OpenTelemetry collector', { error: result.error });
        if (!isLost && isLosing) log.info('spans arrive at the OpenTelemetry collector again');
        isLosing = isLost;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
