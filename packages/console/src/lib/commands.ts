/** Commands as they work in a clone of this project; where Gatehouse is installed, `gatehouse` alone does. */
const CLI = 'npm run gatehouse --';

/** Not by npm: what npm prints is no message to an MCP client, which also starts it in a directory of its own. */
const BRIDGE = 'node /path/to/gatehouse/packages/cli/bin/gatehouse.mjs mcp';
/** The server that this page is of. */
const origin = () => globalThis.location?.origin ?? DEFAULT;
const DEFAULT = 'http://localhost:4283';
/** What a command line that asks another address by itself has to be told. */
const at = () => (origin() === DEFAULT ? '' : ` --url ${origin()}`);

export const commands = {
  demo: 'npm run demo',
  signInLink: (email: string) => `${CLI} signin-link ${email}${at()}`,
  connect: (agent: string) => `${BRIDGE} --agent ${agent} --template TEMPLATE --url ${origin()}`,
  enrol: (agent: string) => `${CLI} agent enroll ${agent}${at()}`,
  apply: `${CLI} apply -f examples/quickstart`,
  applyYours: `${CLI} apply -f DIRECTORY`,
  kill: (agent: string) => `${CLI} kill ${agent}${at()}`,
  verifyLog: `${CLI} log verify`,
  verifyReceipt: `${CLI} log verify --receipt FILE --key KEY`,
};
