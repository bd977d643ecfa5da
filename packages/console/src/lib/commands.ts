/** Commands as they work in a clone of this project; where Gatehouse is installed, `gatehouse` alone does. */
const CLI = 'npm run gatehouse --';

export const commands = {
  demo: 'npm run demo',
  signInLink: (email: string) => `${CLI} signin-link ${email}`,
  connect: (agent: string) => `${CLI} mcp --agent ${agent} --template TEMPLATE`,
  enrol: (agent: string) => `${CLI} agent enroll ${agent}`,
  apply: `${CLI} apply -f examples/quickstart`,
  applyYours: `${CLI} apply -f DIRECTORY`,
  kill: (agent: string) => `${CLI} kill ${agent}`,
  verifyLog: `${CLI} log verify`,
  verifyReceipt: `${CLI} log verify --receipt FILE --key KEY`,
};
