/** What a decision of the control API is about: the type of entity that policies see as `resource`. */
export type ResourceType = 'Workspace' | 'Agent' | 'Approval' | 'Person';

export interface ControlAction {
  resource: ResourceType;
  /** For people: "may …". */
  words: string;
}

/**
 * The groups that the routes of the control API belong to. A policy names a group (`action in Action::"kill"`) or one route
 * (`action == Action::"POST /agents/:name/kill"`). A route without a group does not compile, and a group without a permit is denied.
 */
export const controlActions = {
  read: { resource: 'Workspace', words: 'see everything but secrets: agents, tasks, actions, records, people' },
  self: { resource: 'Workspace', words: 'look after their own sessions and delegations' },
  passkeys: { resource: 'Workspace', words: 'rename and remove their own passkeys' },
  consent: { resource: 'Workspace', words: 'let an agent act for them, or not' },
  inspect: { resource: 'Workspace', words: 'export the workspace and plan changes of it' },
  refresh: { resource: 'Workspace', words: 'ask tool servers what they serve' },
  kill: { resource: 'Agent', words: 'stop an agent everywhere, now' },
  operate: { resource: 'Agent', words: 'give an agent keys and take them away, end its tasks' },
  lifecycle: { resource: 'Agent', words: 'suspend, activate and retire agents' },
  review: { resource: 'Workspace', words: 'approve and reject changed tool definitions' },
  approve: { resource: 'Approval', words: 'approve one exact action, with their passkey' },
  deny: { resource: 'Approval', words: 'deny an action that waits' },
  people: { resource: 'Person', words: 'see and end the sessions of others, have somebody leave' },
  secure: { resource: 'Workspace', words: 'rotate the keys of the house, cut connections to tool servers' },
  oversee: { resource: 'Workspace', words: 'see who is signed in and which secrets there are' },
  provision: { resource: 'Workspace', words: 'enrol and retire agents, start and end tasks, by the thousand' },
  admit: { resource: 'Workspace', words: 'let people in: sign-in links, directories, reinstating' },
  administer: { resource: 'Workspace', words: 'apply manifests, set secrets, connect tool servers' },
} as const satisfies Record<string, ControlAction>;

export type ActionGroup = keyof typeof controlActions;
