import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfirmationNeeded } from '@gatehouse/protocol';
import type { Operator } from '@gatehouse/sdk/operator';
import { openBrowser } from './browser.ts';
import { CliFailure } from './failure.ts';
import type { ServerOptions } from './server-address.ts';

const POLL_MS = 1_500;

/**
 * Has the person confirm in their browser what this session was not given, and waits for it; gives the id to repeat the request with.
 * Where nobody sits in front of it, it says where to confirm and ends. To standard error: the answer alone is on standard output.
 */
export async function confirmed(operator: Operator, problem: Error, options: ServerOptions): Promise<string> {
  const { confirmation } = problem.cause as { confirmation: ConfirmationNeeded };
  const { id, url, expiresAt } = confirmation;
  const note = (text: string) => void process.stderr.write(`${text}\n`);
  if (!(options.wait ?? process.stderr.isTTY))
    throw new CliFailure(
      'pending',
      'confirmation.needed',
      `Nothing was done yet: a person confirms it at ${url}\nThen run the same again with --confirmation ${id}`,
      { cause: problem, more: { confirmation } },
    );
  note(`This has to be confirmed in a browser: ${url}\nWaiting; Ctrl-C withdraws it.`);
  if (options.browser !== false) {
    const trouble = await openBrowser(url);
    if (trouble !== undefined) note(`No browser could be opened (${trouble}): open the address yourself, anywhere.`);
  }
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    return await answered(operator, id, expiresAt, stop.signal);
  } catch (error) {
    // Nobody comes back for it: a later yes must find nothing to say yes to.
    await operator.call('POST /confirmations/:id/refuse', { params: { id } }).catch(() => undefined);
    if (!stop.signal.aborted) throw error;
    throw new CliFailure('failed', 'confirmation.withdrawn', 'Withdrawn. Nothing was done.');
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

async function answered(operator: Operator, id: string, expiresAt: number, signal: AbortSignal): Promise<string> {
  while (Date.now() < expiresAt) {
    const { state } = await operator.call('GET /confirmations/:id', { params: { id }, signal });
    if (state === 'confirmed') return id;
    if (state !== 'open')
      throw new CliFailure('refused', `confirmation.${state}`, 'The person said no. Nothing was done.');
    await sleep(POLL_MS, undefined, { signal });
  }
  throw new CliFailure(
    'failed',
    'confirmation.expired',
    'Nobody confirmed it in time. Nothing was done; run it again.',
  );
}
