import { TASK_DETAILS_TYPE, type TaskDetails, taskDetails } from '@gatehouse/protocol';
import { isJsonObject, type Json, parseStrictJson } from '../../platform/index.ts';

/** What is wrong with the `authorization_details` of a token request, and what to send instead. */
export class InvalidTaskRequest extends Error {
  override readonly name = 'InvalidTaskRequest';
}

const EXAMPLE = `[{ 'type': '${TASK_DETAILS_TYPE}', 'template': TEMPLATE, 'intent': WHY, 'parameters': {...} }]`;
const [continued, started] = taskDetails.options;

/** Reads `authorization_details` (RFC 9396 §2): exactly one task, to start or to continue. Throws InvalidTaskRequest. */
export function parseTaskRequest(parameter: string): TaskDetails {
  let details: Json;
  try {
    details = parseStrictJson(Buffer.from(parameter), 8);
  } catch (cause) {
    throw new InvalidTaskRequest(`authorization_details is not strict JSON. Send ${EXAMPLE}.`, { cause });
  }
  const [entry] = Array.isArray(details) ? details : [];
  if (!Array.isArray(details) || details.length !== 1 || !isJsonObject(entry))
    throw new InvalidTaskRequest(`authorization_details must hold exactly one task. Send ${EXAMPLE}.`);
  if (entry.type !== TASK_DETAILS_TYPE)
    throw new InvalidTaskRequest(`The only type of authorization_details here is ${TASK_DETAILS_TYPE}.`);

  const result = (Object.hasOwn(entry, 'task') ? continued : started).safeParse(entry);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join('.') || 'the task'}: ${message}`);
  const hint = Object.hasOwn(entry, 'task')
    ? "With 'task' a new token for a running task is asked for, and nothing else may be given."
    : `Send ${EXAMPLE}.`;
  throw new InvalidTaskRequest(`authorization_details is refused. ${problems.join('; ')}. ${hint}`);
}
