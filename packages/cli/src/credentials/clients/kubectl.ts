import { partOf, timeOf } from '../parts.ts';
import type { LocalClient } from '../types.ts';

const API = 'client.authentication.k8s.io/v1';

/** kubectl's and client-go's exec plugin: an ExecCredential, with a token or a client certificate. */
export const kubectl: LocalClient = {
  name: 'kubectl',
  async answer({ path: [provider = ''], query, body, waitMs }, broker) {
    const server = query.get('server');
    if (server && serverOf(body) !== server)
      return {
        status: 403,
        body: `This credential is for ${server}, and kubectl calls ${serverOf(body) ?? 'another'}: set provideClusterInfo.`,
      };
    const given = await broker.ask({ provider }, waitMs);
    if (given.kind === 'waiting') return { status: 202, body: given.detail };
    if (given.kind === 'refused') return { status: given.status, body: given.detail };
    const { certificate, clientCertificate = certificate, privateKey, clientKey = privateKey } = given.parts;
    const status =
      clientCertificate && clientKey
        ? { clientCertificateData: clientCertificate, clientKeyData: clientKey }
        : { token: partOf(given, 'kubectl', 'token') };
    return {
      status: 200,
      body: { apiVersion: API, kind: 'ExecCredential', status: { expirationTimestamp: timeOf(given), ...status } },
    };
  },
};

/** What KUBERNETES_EXEC_INFO says of the cluster, where `provideClusterInfo` is set. */
function serverOf(info: string): string | undefined {
  try {
    return (JSON.parse(info) as { spec?: { cluster?: { server?: string } } }).spec?.cluster?.server;
  } catch {
    return undefined;
  }
}
