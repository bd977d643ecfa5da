import { partOf, timeOf } from '../parts.ts';
import type { Broker, Given, LocalAnswer, LocalClient } from '../types.ts';

type Held = Extract<Given, { kind: 'given' }>;

const keysOf = (held: Held, tokenName: string) => ({
  AccessKeyId: partOf(held, 'aws', 'accessKeyId'),
  SecretAccessKey: partOf(held, 'aws', 'secretAccessKey'),
  [tokenName]: partOf(held, 'aws', 'sessionToken'),
  Expiration: timeOf(held),
});

/**
 * The container credentials endpoint of AWS's SDKs and CLI, on loopback (`AWS_CONTAINER_CREDENTIALS_FULL_URI`). They give up within seconds and can't be
 * kept waiting: what waits for a person is refused at once, in words that the CLI shows.
 */
export const awsContainer: LocalClient = {
  name: 'aws',
  loopback: {
    // As it is, without a scheme.
    tokenIn: ({ headers }) => headers.authorization,
    refused: failed(401, 'InvalidToken', 'The token in AWS_CONTAINER_AUTHORIZATION_TOKEN is not that of this process.'),
  },
  async answer({ path: [provider = ''], method }, broker) {
    if (method !== 'GET') return failed(400, 'InvalidRequest', 'This answers GET only.');
    const given = await broker.ask({ provider }, 0);
    if (given.kind === 'waiting') return failed(403, 'ApprovalPending', given.detail);
    if (given.kind === 'refused') return failed(given.status, given.code, given.detail);
    return { status: 200, body: keysOf(given, 'Token') };
  },
  failed: (detail) => failed(503, 'Unavailable', detail),
};

function failed(status: number, Code: string, Message: string): LocalAnswer {
  return { status, body: { Code, Message } };
}

/** `credential_process` of a profile, on the socket: nothing limits how long it may wait. */
export const awsProcess: LocalClient = {
  name: 'aws-process',
  async answer({ path: [provider = ''], waitMs }, broker: Broker) {
    const given = await broker.ask({ provider }, waitMs);
    if (given.kind === 'waiting') return { status: 202, body: given.detail };
    if (given.kind === 'refused') return { status: given.status, body: given.detail };
    return { status: 200, body: { Version: 1, ...keysOf(given, 'SessionToken') } };
  },
};
