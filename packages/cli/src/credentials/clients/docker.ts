import { loginOf } from '../parts.ts';
import type { LocalClient } from '../types.ts';

/** docker-credential-helpers: a registry's address in, user and secret out. Bound to the registries that it was installed for. */
export const docker: LocalClient = {
  name: 'docker',
  async answer({ path: [provider = '', verb = 'get'], query, body, waitMs }, broker) {
    const server = body.trim();
    const host = hostOf(server);
    if (host === undefined || !query.getAll('host').includes(host)) return { status: 404, body: NOT_FOUND };
    if (verb === 'erase') {
      for (const { lease } of broker.held().filter((held) => held.provider === provider)) await broker.end(lease);
      return { status: 204, body: '' };
    }
    const given = await broker.ask({ provider }, waitMs);
    if (given.kind === 'waiting') return { status: 202, body: given.detail };
    if (given.kind === 'refused') return { status: given.status, body: given.detail };
    const { username, password } = loginOf(given, 'docker');
    return { status: 200, body: { ServerURL: server, Username: username, Secret: password } };
  },
};

/** The words by which docker knows that there is none. */
const NOT_FOUND = 'credentials not found in native keychain';

const hostOf = (server: string) => URL.parse(server.includes('://') ? server : `https://${server}`)?.host;
