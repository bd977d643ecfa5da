import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

const facts = JSON.parse(
  readFileSync(new URL('../../../../../../conformance/ocsf/facts.json', import.meta.url), 'utf8'),
) as { classes: Record<string, object>; $defs: object };
const ajv = new Ajv2020({ strict: false, allErrors: true });
const compiled = new Map<string, ValidateFunction>();

/** What an event has that its class of OCSF does not, and the other way round; empty: it fits. */
export function ocsfProblems(event: { class_uid?: unknown }): string[] {
  const uid = String(event.class_uid);
  const schema = facts.classes[uid];
  if (!schema) return [`there is no class ${uid}`];
  const validate = compiled.get(uid) ?? ajv.compile({ ...schema, $defs: facts.$defs });
  compiled.set(uid, validate);
  return validate(event)
    ? []
    : (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
      );
}
