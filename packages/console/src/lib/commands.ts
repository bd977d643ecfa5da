/** Whoever reads a console has not always a clone of this project; the README says what `gatehouse` stands for in one. */
const CLI = 'gatehouse';

/** Not by npm: what npm prints is no message to an MCP client, which also starts it in a directory of its own. */
const BRIDGE = 'node /path/to/gatehouse/packages/cli/bin/gatehouse.mjs mcp';
/** The server that this page is of. */
const origin = () => globalThis.location?.origin ?? DEFAULT;
const DEFAULT = 'http://localhost:4283';
/** Where `npm start` in a clone is met. */
export const isAtDefault = () => origin() === DEFAULT;
/** What a command line that asks another address by itself has to be told. */
const at = () => (isAtDefault() ? '' : ` --url ${origin()}`);

export const commands = {
  demo: 'npm run demo',
  signInLink: (email: string) => `${CLI} signin-link ${email}${at()}`,
  connect: (agent: string) => `${BRIDGE} --agent ${agent} --template TEMPLATE --url ${origin()}`,
  enrol: (agent: string) => `${CLI} agent enroll ${agent}${at()}`,
  apply: () => `${CLI} apply -f FILE${at()}`,
  kill: (agent: string) => `${CLI} kill ${agent}${at()}`,
  verifyLog: () => `${CLI} log verify${at()}`,
  newLog: `${CLI} start --replica NAME`,
  newRoot: () => `${CLI} keys rotate x509-intermediate --compromised${at()}`,
  verifyReceipt: `${CLI} log verify --receipt FILE --key KEY`,
};
