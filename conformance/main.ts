import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { replaceSection } from '../bench/measure.ts';
import type { Part } from './part.ts';

/**
 * `npm run conformance [-- --only PART] [--json] [--write]`: without `--only` the official MCP suite (server, client, authorization). The
 * other parts are products of somebody else that are fetched or built first, `cedar`, `agentdojo`, `definitions` and `ocsf`, which need `--data DIR`, and `budgets`. Ends with
 * exit code 1 if anything is lost or fails,
 * with 69 if something could not be tried; `--write` replaces the sections of what was run in conformance/RESULTS.md.
 */
const official = ['server', 'client', 'authorization'];
const parts: Record<string, () => Promise<Part>> = {
  server: async () => (await import('./official.ts')).server,
  client: async () => (await import('./official.ts')).client,
  authorization: async () => (await import('./official.ts')).authorization,
  'go-spiffe': async () => (await import('./foreign/go-spiffe.ts')).goSpiffe,
  keycloak: async () => (await import('./foreign/keycloak.ts')).keycloak,
  budgets: async () => (await import('./budgets.ts')).budgets,
  cedar: async () => (await import('./cedar.ts')).cedar,
  authzen: async () => (await import('./authzen.ts')).authzen,
  definitions: async () => (await import('./definitions.ts')).definitions,
  mutants: async () => (await import('./mutants.ts')).mutants,
  tlog: async () => (await import('./foreign/tlog.ts')).tlog,
  spire: async () => (await import('./foreign/spire.ts')).spire,
  ocsf: async () => (await import('./ocsf.ts')).ocsf,
  agentdojo: async () => (await import('./agentdojo/part.ts')).agentdojo,
};
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
    data: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    suite: { type: 'string' },
  },
});
if (values.only !== undefined && !Object.hasOwn(parts, values.only)) {
  console.error(`unknown part ${values.only}; one of: ${Object.keys(parts).join(', ')}`);
  process.exit(64);
}
const { json: _, write: __, only: ___, ...given } = values;
const results = join(import.meta.dirname, 'RESULTS.md');
let failed = false;
for (const name of values.only === undefined ? official : [values.only]) {
  const part = (await parts[name]?.()) as Part;
  const { versions, text, failing, rows } = await part.run(given).catch((error: Error): never => {
    console.error(`${name} could not be tried. ${process.env.CONFORMANCE_VERBOSE ? error.stack : error.message}`);
    process.exit(69);
  });
  failed ||= failing.length > 0;
  const when = `\`npm run conformance -- --only ${name}\`, ${new Date().toISOString().slice(0, 10)}, ${versions}, Node ${process.version}.`;
  const verdict =
    failing.length > 0 ? `Failing:\n\n${failing.map((each) => `- ${each}`).join('\n')}` : 'Nothing fails.';
  const section = `${when}\n\n${text}\n\n${verdict}`;
  if (values.json) console.log(JSON.stringify({ part: name, versions, node: process.version, rows, failing }, null, 2));
  else console.log(`## ${part.heading}\n\n${section}\n`);
  if (values.write) writeFileSync(results, replaceSection(readFileSync(results, 'utf8'), part.heading, section));
}
process.exit(failed ? 1 : 0);
