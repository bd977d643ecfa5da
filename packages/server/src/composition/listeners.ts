import { createFrontDoor, type Door } from '../api/index.ts';
import { listenExtAuthz } from '../gate/index.ts';
import {
  type Listener,
  type ListenOptions,
  openIdentityFiles,
  openListener,
  openOwnIdentity,
  trustedProxies,
} from '../platform/index.ts';
import type { Doors } from './doors.ts';
import type { Foundation } from './foundation.ts';
import type { Identities } from './identity.ts';

/** Opens the ports, each of which is on `listeners` as soon as it is open. */
export async function openListeners(
  { config, log }: Pick<Foundation, 'config' | 'log'>,
  { identity }: Pick<Identities, 'identity'>,
  { decisions }: Pick<Doors, 'decisions'>,
  { doors, otherwise }: { doors: readonly Door[]; otherwise: Parameters<typeof createFrontDoor>[2] },
  listeners: Listener[],
) {
  const serve = createFrontDoor({ proxies: trustedProxies(config.trustedProxies ?? []), log }, doors, otherwise);
  const { host, port, tls, mutualTls, extAuthz } = config;
  const listen = async (port: number, tls?: ListenOptions['tls']): Promise<Listener> => {
    const listener = await openListener({ host, port, ...(tls && { tls }) }, serve);
    listeners.push(listener);
    return listener;
  };
  const publicListener = await listen(
    port,
    tls && { identity: openIdentityFiles(tls, log), clientCertificates: tls.clientCertificates ?? false },
  );
  const urls = [...(mutualTls ? [mutualTls.url] : []), config.publicUrl];
  const ownIdentity = () => openOwnIdentity(() => identity.serverIdentity(urls), { log });
  const mutualListener =
    mutualTls && (await listen(mutualTls.port, { identity: await ownIdentity(), clientCertificates: true }));
  const extAuthzListener =
    extAuthz && (await listenExtAuthz({ ...decisions, identity: await ownIdentity(), host, port: extAuthz.port }));
  if (extAuthzListener) listeners.push(extAuthzListener);
  return {
    address: publicListener.address,
    mutualTlsAddress: mutualListener?.address,
    extAuthzAddress: extAuthzListener?.address,
  };
}
