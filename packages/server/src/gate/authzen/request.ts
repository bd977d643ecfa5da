import { z } from 'zod';
import { GatehouseError, type JsonObject } from '../../platform/index.ts';
import { authzenLimits } from './limits.ts';

/** The information model of the AuthZEN Authorization API 1.0 (sections 5 to 8). Members that it does not know are ignored (section 5). */
const text = z.string().min(1).max(authzenLimits.nameChars);
const properties = z.record(z.string(), z.unknown()).optional();

export const subjectEntity = z.object({ type: text, id: text, properties });
export const resourceEntity = z.object({ type: text, id: text, properties });
export const actionEntity = z.object({ name: text, properties });
const context = z.record(z.string(), z.unknown()).optional();

export const evaluationRequest = z.object({
  subject: subjectEntity,
  action: actionEntity,
  resource: resourceEntity,
  context,
});
export type EvaluationRequest = z.output<typeof evaluationRequest>;
export type Subject = z.output<typeof subjectEntity>;

export const evaluationsRequest = z.object({
  evaluations: z.array(z.record(z.string(), z.unknown())).optional(),
  options: z
    .object({
      evaluations_semantic: z
        .enum(['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'])
        .default('execute_all'),
    })
    .default({ evaluations_semantic: 'execute_all' }),
});

const page = z
  .object({ token: z.string().max(2_000).optional(), limit: z.number().int().min(1).optional() })
  .optional();
/** What is searched for needs a type and no id (section 8); an id that stands there is ignored. */
const wanted = z.object({ type: text, properties });
export const subjectSearch = z.object({
  subject: wanted,
  action: actionEntity,
  resource: resourceEntity,
  context,
  page,
});
export const resourceSearch = z.object({
  subject: subjectEntity,
  action: actionEntity,
  resource: wanted,
  context,
  page,
});
export const actionSearch = z.object({ subject: subjectEntity, resource: resourceEntity, context, page });

/** Throws `bad-request` with the first thing that does not fit. */
export function parsed<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new GatehouseError(
    'bad-request',
    'body.invalid',
    `The request is refused: ${issue?.path.join('.') || 'the body'}: ${issue?.message}.`,
  );
}

export type DecisionAnswer = { decision: boolean; context: JsonObject };
