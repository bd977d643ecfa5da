import type { JsonObject, Log } from '../../../platform/index.ts';
import type { Channel } from '../exchange.ts';
import type { Exchanges } from '../exchanges.ts';
import type { UpstreamLimits } from '../limits.ts';
import { readMessages } from '../messages.ts';
import { UpstreamFailure } from '../types.ts';
import type { Launch } from './launch.ts';
import { type ProcessHandlers, startProcess } from './process.ts';

/** JSON-RPC over standard input and output, one message a line; the same in both eras. */
export function createStdioChannel(
  launch: Launch,
  exchanges: Exchanges,
  options: { limits: UpstreamLimits; log: Log; hide?: ((text: string) => string) | undefined; onExit(): void },
): Channel {
  const { limits, log } = options;
  const handlers: ProcessHandlers = {
    onLine(line) {
      try {
        const waits = readMessages(line, true).map((message) => exchanges.receive(message, 'one-channel'));
        const pending = waits.filter((wait) => wait !== undefined);
        return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
      } catch (failure) {
        return exchanges.violate((failure as UpstreamFailure).message);
      }
    },
    onTooLong() {
      exchanges.violate(`The server sent more than ${limits.messageBytes} bytes in one message.`);
    },
    onExit(detail) {
      exchanges.end(new UpstreamFailure('lost', detail));
      options.onExit();
    },
  };
  const server = startProcess(launch, limits, log, handlers, options.hide);

  return {
    open(exchange) {
      exchange.sent = true;
      write(exchange.wire);
    },
    cancel(exchange, reason) {
      if (exchange.request.method === 'initialize') return;
      write({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: exchange.id, reason } });
    },
    async send(message) {
      if (exchanges.closed.aborted) throw new UpstreamFailure('unreachable', 'The server is gone.');
      write(message);
    },
    async close(reason) {
      const { reason: failure, aborted } = exchanges.closed;
      exchanges.end(new UpstreamFailure('lost', reason));
      // One that broke the rules gets no time to do more.
      if (aborted && (failure as UpstreamFailure).kind === 'violation') server.kill();
      await server.stop();
    },
  };

  function write(message: JsonObject): void {
    if (!server.write(`${JSON.stringify(message)}\n`)) exchanges.violate('The server does not read what it is sent.');
  }
}
