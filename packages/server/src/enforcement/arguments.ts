import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../platform/index.ts';
import type { RegisteredTool } from '../registry/index.ts';
import { boundedRegExp } from './bounded-regexp.ts';
import { counted, undeclaredArgument } from './json-schema.ts';

/** ajv-formats is CommonJS whose default export is the function itself. */
const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

const MAX_COMPILED = 10_000;
/** A schema is compiled once, between two calls that wait for it. */
const MAX_SCHEMA_CHARS = 262_144;
/** Subschemas tried for one call. A schema that branches and refers to itself could ask for 2^64 of them. */
const MAX_STEPS = 1_000_000;

const compiled = new Map<string, ValidateFunction | string>();
let steps = 0;

class TooManySteps extends Error {}

/**
 * Checks the arguments against the approved schema of the tool: undefined when they fit, else the problem in words. The schema is a
 * stranger's, so that what it can make us do is bounded, and external references are never followed (a schema with one does not
 * compile, and is refused). Arguments that the schema does not name are refused unless it says `additionalProperties`: an approver
 * and a policy can only judge what is declared.
 */
export function checkArguments(tool: RegisteredTool, args: Json): string | undefined {
  if (!tool.definition) return undefined;
  if (!isJsonObject(args)) return 'the arguments must be an object';
  const schema = isJsonObject(tool.definition.inputSchema) ? tool.definition.inputSchema : { type: 'object' };
  const filled = Object.keys(tool.filled ?? {});
  const given = filled.find((name) => Object.hasOwn(args, name));
  if (given !== undefined) return `"${given}" is filled in by Gatehouse: leave it out`;
  const undeclared = undeclaredArgument(schema, args);
  if (undeclared !== undefined) return `"${undeclared}" is not an argument of ${tool.ref}`;
  const validate = compile(JSON.stringify([tool.digest, ...filled]), schema);
  if (typeof validate === 'string') return `the tool's own schema cannot be used (${validate})`;
  steps = 0;
  try {
    if (validate(args)) return undefined;
  } catch (error) {
    // A schema that refers to itself without end is out of stack before it is out of steps.
    if (error instanceof TooManySteps || error instanceof RangeError)
      return `they take more than ${MAX_STEPS} steps to check; send less at once`;
    throw error;
  }
  const [error] = validate.errors ?? [];
  const at = error?.instancePath ? `"${error.instancePath.slice(1).replaceAll('/', '.')}" ` : '';
  return `${at}${error?.message ?? 'does not fit the schema'}`;
}

function compile(key: string, schema: JsonObject): ValidateFunction | string {
  let entry = compiled.get(key);
  if (entry === undefined) {
    try {
      entry =
        JSON.stringify(schema).length > MAX_SCHEMA_CHARS
          ? `it is longer than ${MAX_SCHEMA_CHARS} characters`
          : validatorFor(schema).compile(counted(withoutId(schema), 'x-gatehouse-step'));
    } catch (error) {
      entry = error instanceof Error ? error.message : String(error);
    }
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(key, entry);
  }
  return entry;
}

/** JSON Schema 2020-12 is MCP's default dialect (SEP-1613); drafts 6 and 7 are read when they are declared. */
function validatorFor(schema: JsonObject): Ajv {
  const options = {
    strict: false,
    allErrors: false,
    validateSchema: false,
    code: { regExp: boundedRegExp },
  } as const;
  const declared = typeof schema.$schema === 'string' ? schema.$schema : '';
  const ajv = /draft-0[467]/.test(declared) ? new Ajv(options) : new Ajv2020(options);
  addFormats(ajv);
  ajv.addKeyword({
    keyword: 'x-gatehouse-step',
    errors: false,
    validate: () => {
      if (++steps > MAX_STEPS) throw new TooManySteps();
      return true;
    },
  });
  // Ajv compares each element with each other one.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    errors: false,
    validate: (wanted: unknown, elements: Json[]) =>
      wanted !== true || new Set(elements.map((each) => canonicalJson(each))).size === elements.length,
  });
  return ajv;
}

function withoutId(schema: JsonObject): JsonObject {
  const { $id: _id, $schema: _schema, ...rest } = schema;
  return rest;
}
