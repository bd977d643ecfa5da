import type { Span, SpanAttributes, TraceContext, Tracing } from '../platform/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Action, Enforcement, Outcome, Sent } from './types.ts';

/**
 * One span for an action and one for the call of the tool in it (OpenTelemetry's conventions for MCP and GenAI), within the trace that
 * the caller named. What agents and tools say to each other is in none of them: arguments and results are the ledger's.
 */
export function traced(
  enforce: Enforcement['enforce'],
  { tracing, registry }: { tracing: Tracing; registry: Pick<Registry, 'snapshot'> },
): Enforcement['enforce'] {
  return async (action, send) => {
    const parent = action.trace ?? action.caller.trace;
    if (!tracing.isOn && !parent) return enforce(action, send);
    const about = aboutAction(action);
    const name = `${action.operation} ${action.name}`.slice(0, 200);
    const span = tracing.begin(name, { kind: 'server', parent, attributes: { ...about, ...aboutCaller(action) } });
    const call = () =>
      tracing.begin(name, {
        kind: 'client',
        parent: span.context,
        attributes: { ...about, ...aboutServer(registry, action.server) },
      });
    try {
      const outcome = await enforce(within(action, span.context), (dispatch) => {
        // Who asks makes the call, and its span.
        if (action.gateway) return send(dispatch);
        const own = call();
        return ended(own, send(own.context ? { ...dispatch, trace: own.context } : dispatch));
      });
      span.set(aboutOutcome(outcome));
      span.end(errorOf(outcome));
      return outcome;
    } catch (error) {
      span.end('internal');
      throw error;
    }
  };
}

const within = (action: Action, trace: TraceContext | undefined): Action => (trace ? { ...action, trace } : action);

async function ended(span: Span, sending: Promise<Sent>): Promise<Sent> {
  try {
    const sent = await sending;
    span.end(sent.result === 'failure' ? 'tool_error' : undefined);
    return sent;
  } catch (error) {
    span.end(error instanceof Error ? error.name : 'unknown');
    throw error;
  }
}

function aboutAction({ operation, name }: Action): SpanAttributes {
  return {
    'mcp.method.name': operation,
    ...(operation === 'tools/call' && { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': name }),
    ...(operation === 'prompts/get' && { 'gen_ai.prompt.name': name }),
    ...(operation.startsWith('resources/') && { 'mcp.resource.uri': name }),
  };
}

function aboutCaller({ caller, server, gateway }: Action): SpanAttributes {
  const { task } = caller;
  return {
    'gen_ai.agent.id': caller.agent,
    'gen_ai.agent.name': caller.agent,
    'gatehouse.task.id': task.id,
    'gatehouse.environment': task.environment,
    'gatehouse.template': task.template,
    'gatehouse.server': server,
    ...(gateway && { 'gatehouse.gateway': gateway.spiffeId }),
  };
}

function aboutServer(registry: Pick<Registry, 'snapshot'>, server: string): SpanAttributes {
  const transport = registry.snapshot().servers.get(server)?.manifest.transport;
  if (transport?.type !== 'http') return { 'network.transport': 'pipe' };
  const { hostname, port, protocol } = new URL(transport.url);
  return {
    'network.transport': 'tcp',
    'server.address': hostname,
    'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
  };
}

function aboutOutcome(outcome: Outcome): SpanAttributes {
  return {
    'gatehouse.action.id': outcome.actionId,
    'gatehouse.outcome': outcome.kind,
    ...(outcome.kind === 'refused' && {
      'gatehouse.decision.code': outcome.decision.code,
      'gatehouse.decision.policies': outcome.decision.policies,
    }),
    ...(outcome.kind === 'pending' && { 'gatehouse.approval.id': outcome.approval.id }),
  };
}

function errorOf(outcome: Outcome): string | undefined {
  switch (outcome.kind) {
    case 'done':
      return outcome.sent.result === 'failure' ? 'tool_error' : undefined;
    case 'refused':
      return outcome.decision.code;
    case 'pending':
      return undefined;
    default:
      return outcome.kind;
  }
}
