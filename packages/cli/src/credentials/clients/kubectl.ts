import { partOf, timeOf } from '../parts.ts';
import type { LocalClient } from '../types.ts';

const GROUP = 'client.authentication.k8s.io';

/** kubectl's and client-go's exec plugin: an ExecCredential, with a token or a client certificate. */
export const kubectl: LocalClient = {
  name: 'kubectl',
  async answer({ path: [provider = ''], query, body, waitMs }, broker) {
    const info = infoOf(body);
    const server = query.get('server');
    if (server && info.spec?.cluster?.server !== server)
      return {
        status: 403,
        body: `This credential is for ${server}, and kubectl calls ${info.spec?.cluster?.server ?? 'nobody knows which'}: set provideClusterInfo.`,
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
      body: {
        apiVersion: apiOf(info),
        kind: 'ExecCredential',
        status: { expirationTimestamp: timeOf(given), ...status },
      },
    };
  },
};

interface ExecInfo {
  apiVersion?: string;
  spec?: { cluster?: { server?: string } };
}

/** KUBERNETES_EXEC_INFO; of the cluster where `provideClusterInfo` is set. */
function infoOf(text: string): ExecInfo {
  try {
    return JSON.parse(text) as ExecInfo;
  } catch {
    return {};
  }
}

/** As it was asked: a client that is older than 1.22 takes no other. */
const apiOf = ({ apiVersion }: ExecInfo) => (apiVersion === `${GROUP}/v1beta1` ? apiVersion : `${GROUP}/v1`);
