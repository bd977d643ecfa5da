import { createOutbound, GatehouseError, isJsonObject, type Json, parseStrictJson } from '../../platform/index.ts';
import { keyEncryptionLimits } from './limits.ts';

/** Plain http would show our key to the network; to this host itself it shows it to nobody. */
export function checkServiceUrl(url: URL): void {
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return;
  throw new GatehouseError(
    'bad-request',
    'key-encryption.spec',
    `The key service ${url.origin} would be spoken to unencrypted. Give an https:// address.`,
  );
}

/** POSTs, and gives status and body. Throws `key-encryption.unavailable` naming `service`. */
export async function callService(
  service: string,
  url: string,
  request: { headers: Record<string, string>; body: string; ca?: string },
): Promise<{ status: number; text: string }> {
  const outbound = createOutbound();
  try {
    const answer = await outbound.fetch(url, {
      method: 'POST',
      ...request,
      allowPrivateAddress: true,
      maxBytes: keyEncryptionLimits.serviceAnswerBytes,
      timeoutMs: keyEncryptionLimits.serviceTimeoutMs,
    });
    return { status: answer.status, text: answer.body.toString('utf8') };
  } catch (cause) {
    throw unavailable(service, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    await outbound.close();
  }
}

export function unavailable(service: string, why: string, cause?: unknown): GatehouseError {
  return new GatehouseError(
    'unavailable',
    'key-encryption.unavailable',
    `The key-encryption key of ${service} cannot be had, so nothing that is sealed can be opened: ${why} Check the service and this server's access to it, and start again.`,
    { cause },
  );
}

/** A member of a JSON answer, or undefined: an answer may be anything. */
export function memberOf(text: string, ...path: string[]): Json | undefined {
  let value: Json | undefined;
  try {
    value = parseStrictJson(Buffer.from(text), 16);
  } catch {
    return undefined;
  }
  for (const name of path) {
    if (!isJsonObject(value)) return undefined;
    value = value[name];
  }
  return value;
}
