import { type Manifest, type TaskDetails, type TemplateManifest, taskDetails } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import type { Context } from './context.ts';
import { hiddenCharacter } from './hidden-characters.ts';
import { fromObjectRow } from './objects.ts';
import { activeWorkload } from './workloads.ts';

export type StartDetails = Exclude<TaskDetails, { task: string }>;

/** Running tasks of one agent: an agent that starts tasks in a loop must not fill the database. */
export const RUNNING_TASKS_PER_AGENT = 1_000;

/** A foreign or former user counts for nothing (law 5). */
export async function requirePerson(transaction: DatabaseTransaction, email: string): Promise<void> {
  const row = await transaction
    .selectFrom('objects')
    .select('body')
    .where('kind', '=', 'Person')
    .where('name', '=', email)
    .executeTakeFirst();
  if (!row || fromObjectRow(row).person?.departed)
    throw refused(
      'forbidden',
      'task.user-unknown',
      `There is no person "${email.slice(0, 254)}" in this workspace, so nobody can act for them.`,
    );
}

export function parseDetails(given: StartDetails): StartDetails {
  const parsed = taskDetails.options[1].safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.');
  throw refused(
    'bad-request',
    'task.invalid',
    `The task can't be started: ${where ? `${where}: ` : ''}${issue?.message}.`,
  );
}

export async function checkMayStart(
  transaction: DatabaseTransaction,
  agent: string,
  templateName: string,
): Promise<{ environment: string; template: TemplateManifest }> {
  const row = await transaction
    .selectFrom('agents as a')
    .leftJoin('objects as b', (join) => join.on('b.kind', '=', 'Blueprint').onRef('b.name', '=', 'a.blueprint'))
    .leftJoin('objects as t', (join) => join.on('t.kind', '=', 'Template').on('t.name', '=', templateName))
    .select([
      'a.state',
      'a.killed_at',
      'a.environment',
      'a.blueprint',
      'a.owner',
      'b.body as blueprint_body',
      't.body as template_body',
    ])
    .where('a.name', '=', agent)
    .executeTakeFirst();
  const read = (body: string | null | undefined) =>
    body === null || body === undefined ? undefined : fromObjectRow({ body }).manifest;
  return mayStart(agent, row, read(row?.blueprint_body), read(row?.template_body), templateName);
}

/** Throws with what to do next unless this agent may start a task under this template. */
export function mayStart(
  agent: string,
  row: Pick<Tables['agents'], 'state' | 'killed_at' | 'environment' | 'blueprint' | 'owner'> | undefined,
  blueprint: Manifest | undefined,
  template: Manifest | undefined,
  templateName: string,
): { environment: string; template: TemplateManifest } {
  if (!row) throw refused('not-found', 'agent.unknown', `There is no agent "${agent.slice(0, 64)}".`);
  if (row.killed_at !== null)
    throw refused('forbidden', 'agent.killed', `The agent "${agent}" was killed. Its owner ${row.owner} can say why.`);
  if (row.state !== 'active')
    throw refused(
      'forbidden',
      `agent.${row.state}`,
      `The agent "${agent}" is ${row.state}: ask its owner ${row.owner} to activate it.`,
    );
  const allowed = blueprint?.kind === 'Blueprint' ? blueprint.templates : [];
  if (!allowed.includes(templateName) || template?.kind !== 'Template') {
    const choice = allowed.length > 0 ? `It allows: ${allowed.join(', ')}.` : 'It allows none.';
    throw refused(
      'forbidden',
      'task.template-not-allowed',
      `The blueprint "${row.blueprint}" of this agent does not allow the template "${templateName}". ${choice}`,
    );
  }
  return { environment: row.environment, template };
}

/** The workload as it is now: one that was stopped meanwhile starts nothing. */
export async function checkMayVouch(
  { trustDomain }: Context,
  transaction: DatabaseTransaction,
  vouchedBy: string,
  { agent, environment }: { agent: string; environment: string },
): Promise<void> {
  const workload = await activeWorkload(transaction, trustDomain, vouchedBy.slice(vouchedBy.lastIndexOf('/') + 1));
  const { starts, environment: own } = workload.manifest;
  if (workload.spiffeId === vouchedBy && starts.includes(agent) && environment === own) return;
  throw refused(
    'forbidden',
    'workload.may-not-start',
    `The workload "${workload.name}" may not start tasks of "${agent}": its manifest names those that it may, under \`starts\`.`,
  );
}

/** Parameters bind what policy permits, so they are exactly what the template declares: no more, no less, of no other type. */
export function checkParameters(template: TemplateManifest, parameters: StartDetails['parameters']): void {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    const declaration = Object.hasOwn(template.parameters, name) ? template.parameters[name] : undefined;
    if (!declaration) problems.push(`"${name.slice(0, 100)}" is not a parameter`);
    else if (!hasType(value, declaration.type)) problems.push(`"${name}" must be of type ${declaration.type}`);
    else if (typeof value === 'string' && hiddenCharacter(value) !== undefined)
      problems.push(`"${name}" holds the hidden character ${hiddenCharacter(value)}`);
  }
  for (const [name, { required, type }] of Object.entries(template.parameters)) {
    if (required && !Object.hasOwn(parameters, name)) problems.push(`"${name}" (${type}) is missing`);
  }
  if (problems.length === 0) return;
  const expected = Object.entries(template.parameters).map(
    ([name, { type, required }]) => `${name}: ${type}${required ? '' : ' (optional)'}`,
  );
  throw refused(
    'bad-request',
    'task.parameters',
    `Parameters of the template "${template.name}": ${problems.slice(0, 5).join('; ')}. It takes ${expected.join(', ') || 'none'}.`,
  );
}

function hasType(value: string | number | boolean, type: 'string' | 'integer' | 'boolean'): boolean {
  return type === 'integer' ? Number.isSafeInteger(value) : typeof value === type;
}

export async function checkRunning(transaction: DatabaseTransaction, agent: string, now: number): Promise<void> {
  const oldest = await transaction
    .selectFrom('tasks')
    .select('id')
    .where('agent', '=', agent)
    .where('state', '=', 'active')
    .where('expires_at', '>', now)
    .orderBy('started_at', 'desc')
    .offset(RUNNING_TASKS_PER_AGENT - 1)
    .limit(1)
    .executeTakeFirst();
  if (oldest)
    throw refused(
      'too-many',
      'task.too-many',
      `The agent "${agent}" has ${RUNNING_TASKS_PER_AGENT} running tasks, which are the most. End those that are done.`,
    );
}

export function refused(
  kind: ConstructorParameters<typeof GatehouseError>[0],
  code: string,
  detail: string,
): GatehouseError {
  return new GatehouseError(kind, code, detail);
}
