/** What a decision of the control API is about: the type of entity that policies see as `resource`. */
export type ResourceType = 'Workspace' | 'Agent' | 'Approval' | 'Person';

/**
 * What a session of the command line, which an agent may share, does with routes that change something. `open`: looks, stops or narrows,
 * and is done at once. `confirmed`: could widen what agents or people may do, so its person looks at it in a browser first. `refused`:
 * is a yes, or its answer is a way in; it is done in the console.
 */
export type AtTerminal = 'open' | 'confirmed' | 'refused';

export interface ControlAction {
  resource: ResourceType;
  /** For people: "may …". */
  words: string;
  /** Reading is open everywhere. Single routes that differ from their group are in `at-terminal.ts`. */
  atTerminal: AtTerminal;
}

/**
 * The groups that the routes of the control API belong to. A policy names a group (`action in Action::"kill"`) or one route
 * (`action == Action::"POST /agents/:name/kill"`). A route without a group does not compile, and a group without a permit is denied.
 */
export const controlActions = {
  read: {
    resource: 'Workspace',
    words: 'see everything but secrets: agents, tasks, actions, records, people',
    atTerminal: 'open',
  },
  self: {
    resource: 'Workspace',
    words: 'look after their own sessions, delegations and connected accounts',
    atTerminal: 'open',
  },
  passkeys: { resource: 'Workspace', words: 'rename and remove their own passkeys', atTerminal: 'refused' },
  consent: {
    resource: 'Workspace',
    words: 'let an agent act for them or use their accounts, or not, and confirm what their command line asks for',
    atTerminal: 'refused',
  },
  inspect: { resource: 'Workspace', words: 'export the workspace and plan changes of it', atTerminal: 'open' },
  refresh: { resource: 'Workspace', words: 'ask tool servers what they serve', atTerminal: 'open' },
  kill: {
    resource: 'Agent',
    words: 'stop an agent everywhere, now, and end single credentials of it',
    atTerminal: 'open',
  },
  operate: {
    resource: 'Agent',
    words:
      'give an agent keys and take them away, end its tasks, say what came of an action of it that shows as unknown',
    atTerminal: 'confirmed',
  },
  lifecycle: {
    resource: 'Agent',
    words: 'suspend, activate and retire agents, say what is usual for them',
    atTerminal: 'confirmed',
  },
  ship: {
    resource: 'Workspace',
    words: 'ship a proposed change of the policies that somebody else has written, with their passkey',
    atTerminal: 'refused',
  },
  review: { resource: 'Workspace', words: 'approve and reject changed tool definitions', atTerminal: 'refused' },
  approve: { resource: 'Approval', words: 'approve one exact action, with their passkey', atTerminal: 'refused' },
  deny: { resource: 'Approval', words: 'deny an action that waits', atTerminal: 'open' },
  'ask-break-glass': {
    resource: 'Workspace',
    words: 'ask two people to break the glass for a task, in an emergency',
    atTerminal: 'open',
  },
  'break-glass': {
    resource: 'Workspace',
    words: 'sign with a second person, by passkey, that a task runs without approvals in an emergency',
    atTerminal: 'refused',
  },
  people: { resource: 'Person', words: 'see and end the sessions of others, have somebody leave', atTerminal: 'open' },
  secure: {
    resource: 'Workspace',
    words:
      'rotate the keys of the house, cut connections to tool servers, have credentials live longer, reject proposed changes, pause and test sinks',
    atTerminal: 'open',
  },
  oversee: { resource: 'Workspace', words: 'see who is signed in and which secrets there are', atTerminal: 'open' },
  provision: {
    resource: 'Workspace',
    words: 'enrol and retire agents, start and end tasks, by the thousand',
    atTerminal: 'confirmed',
  },
  admit: {
    resource: 'Workspace',
    words: 'let people in: sign-in links, directories, reinstating',
    atTerminal: 'refused',
  },
  hold: {
    resource: 'Workspace',
    words: 'place legal holds, ask for their end, ask for bodies to be erased and for stuck credentials to be given up',
    atTerminal: 'confirmed',
  },
  erase: {
    resource: 'Workspace',
    words:
      'agree that a hold ends, bodies are erased or a stuck credential is given up, which somebody else has asked for',
    atTerminal: 'refused',
  },
  administer: {
    resource: 'Workspace',
    words: 'apply manifests, set secrets, connect tool servers',
    atTerminal: 'confirmed',
  },
} as const satisfies Record<string, ControlAction>;

export type ActionGroup = keyof typeof controlActions;
