import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { isJsonObject, type Json, type JsonObject } from '../platform/index.ts';
import type { RegisteredTool } from '../registry/index.ts';

/** ajv-formats is CommonJS whose default export is the function itself. */
const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

const MAX_COMPILED = 10_000;
const compiled = new Map<string, ValidateFunction | string>();

/**
 * Checks the arguments against the approved schema of the tool: undefined when they fit, else the problem in words. External
 * references are never followed (a schema with one does not compile, and is refused). Arguments that the schema does not name are
 * refused unless it says `additionalProperties`: an approver and a policy can only judge what is declared.
 */
export function checkArguments(tool: RegisteredTool, args: Json): string | undefined {
  if (!tool.definition) return undefined;
  if (!isJsonObject(args)) return 'the arguments must be an object';
  const schema = isJsonObject(tool.definition.inputSchema) ? tool.definition.inputSchema : { type: 'object' };
  const undeclared = undeclaredArgument(schema, args);
  if (undeclared !== undefined) return `"${undeclared}" is not an argument of ${tool.ref}`;
  const validate = compile(tool.digest ?? '', schema);
  if (typeof validate === 'string') return `the tool's own schema cannot be used (${validate})`;
  if (validate(args)) return undefined;
  const [error] = validate.errors ?? [];
  const at = error?.instancePath ? `"${error.instancePath.slice(1).replaceAll('/', '.')}" ` : '';
  return `${at}${error?.message ?? 'does not fit the schema'}`;
}

function undeclaredArgument(schema: JsonObject, args: JsonObject): string | undefined {
  if ('additionalProperties' in schema || 'unevaluatedProperties' in schema || 'patternProperties' in schema)
    return undefined;
  if ('$ref' in schema || 'allOf' in schema || 'anyOf' in schema || 'oneOf' in schema || 'if' in schema)
    return undefined;
  const declared = isJsonObject(schema.properties) ? schema.properties : {};
  return Object.keys(args).find((key) => !Object.hasOwn(declared, key));
}

function compile(digest: string, schema: JsonObject): ValidateFunction | string {
  let entry = compiled.get(digest);
  if (entry === undefined) {
    try {
      entry = validatorFor(schema).compile(withoutId(schema));
    } catch (error) {
      entry = error instanceof Error ? error.message : String(error);
    }
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(digest, entry);
  }
  return entry;
}

/** JSON Schema 2020-12 is MCP's default dialect (SEP-1613); drafts 6 and 7 are read when they are declared. */
function validatorFor(schema: JsonObject): Ajv {
  const options = { strict: false, allErrors: false, addUsedSchema: false, validateSchema: false } as const;
  const declared = typeof schema.$schema === 'string' ? schema.$schema : '';
  const ajv = /draft-0[467]/.test(declared) ? new Ajv(options) : new Ajv2020(options);
  addFormats(ajv);
  return ajv;
}

function withoutId(schema: JsonObject): JsonObject {
  const { $id: _id, $schema: _schema, ...rest } = schema;
  return rest;
}
