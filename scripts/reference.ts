import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, role, taskDetails } from '@gatehouse/protocol';
import { z } from 'zod';

/**
 * The reference pages that are made from schemas and code: manifests, control API, limits. `node scripts/reference.ts` writes them;
 * a test compares.
 */
const root = join(import.meta.dirname, '..');

interface JsonSchema {
  type?: string | string[];
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  additionalProperties?: JsonSchema | boolean;
  pattern?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

export async function referencePages(): Promise<Map<string, string>> {
  return new Map([
    ['docs/reference/manifests.md', manifestsPage()],
    ['docs/reference/limits.md', limitsPage()],
    ['docs/reference/ocsf.md', await ocsfPage()],
    ['docs/reference/api.md', await apiPage()],
    ['docs/reference/roles.md', await rolesPage()],
  ]);
}

function manifestsPage(): string {
  const schema = z.toJSONSchema(manifest, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const kinds = schema.oneOf ?? schema.anyOf ?? [];
  const task = z.toJSONSchema(taskDetails, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  return [
    '# Manifests',
    '',
    'One YAML document per object (several in a file are separated by `---`), `kind` first; Cedar policies stand alone as `NAME.cedar`. Unknown members are',
    'refused. `gatehouse plan -f DIR` shows what `gatehouse apply -f DIR` would do; `gatehouse export` gives back what was applied.',
    '',
    ...kinds.flatMap((kind) => [`## ${String(kind.properties?.kind?.const)}`, '', ...table(kind), '']),
    '## Authorization details of a task',
    '',
    'What an agent sends to the token endpoint (RFC 9396) to start a task, or to go on with one:',
    '',
    ...(task.anyOf ?? task.oneOf ?? []).flatMap((form) => [...table(form), '']),
  ].join('\n');
}

function table(schema: JsonSchema): string[] {
  return ['| member | type | default |', '|---|---|---|', ...rows(schema, '')];
}

function rows(schema: JsonSchema, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    if (name === 'kind') return [];
    const path = `${prefix}${name}`;
    const required = schema.required?.includes(name) && member.default === undefined;
    const fallback =
      member.default === undefined ? (required ? '**required**' : '') : `\`${JSON.stringify(member.default)}\``;
    const row = `| \`${path}\` | ${typeOf(member)} | ${fallback} |`;
    if (member.properties) return [row, ...rows(member, `${path}.`)];
    if (member.items?.properties) return [row, ...rows(member.items, `${path}[].`)];
    const values = member.additionalProperties;
    if (typeof values === 'object' && values.properties) return [row, ...rows(values, `${path}.*.`)];
    const forms = (member.oneOf ?? member.anyOf ?? []).filter(({ properties }) => properties);
    return [row, ...forms.flatMap((form) => rows(form, `${path}${kindOf(form)}.`))];
  });
}

/** What tells one form from the others. */
function kindOf({ properties }: JsonSchema): string {
  const kind = properties?.type?.const ?? properties?.grant?.const;
  return kind === undefined ? '' : ` (${kind})`;
}

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  const forms = schema.oneOf ?? schema.anyOf;
  if (forms) return forms.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${schema.items ? typeOf(schema.items) : 'anything'}`;
  if (schema.type === 'object') {
    return typeof schema.additionalProperties === 'object' ? `map to ${typeOf(schema.additionalProperties)}` : 'object';
  }
  const bounds = [
    schema.minimum !== undefined && schema.minimum > Number.MIN_SAFE_INTEGER ? `≥ ${schema.minimum}` : '',
    schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER ? `≤ ${schema.maximum}` : '',
    schema.maxLength !== undefined ? `at most ${schema.maxLength} characters` : '',
  ].filter(Boolean);
  return [String(schema.type ?? 'anything'), ...bounds].join(', ');
}

/** Which record becomes which event of OCSF, from the rules that decide it. */
async function ocsfPage(): Promise<string> {
  const { ocsfClasses, ocsfRules } = await import('../packages/server/src/ledger/export/formats/ocsf-classes.ts');
  const named = (name: keyof typeof ocsfClasses) => `${ocsfClasses[name].name} (${ocsfClasses[name].uid})`;
  const rows = ocsfRules.map(
    (rule) =>
      `| ${rule.operations.map((each) => `\`${each}${each.endsWith('.') ? '*' : ''}\``).join(', ')} | ${named(rule.class)} | ${rule.activity} |`,
  );
  return [
    '# Records as OCSF events',
    '',
    'What a sink with `format: ocsf` sends. `type_uid` is `class_uid × 100 + activity_id`. Of the rules the first that fits counts.',
    '',
    '| record | class | `activity_id` |',
    '|---|---|---|',
    `| call, read or question that was refused, allowed or has ended | ${named('api_activity')} | 2 for what only reads, or 99 |`,
    `| one that a built-in rule of information flow or on unusual calls stopped, or whose result was unusual | ${named('detection_finding')} | 1 |`,
    `| task or agent that the circuit breaker suspended | ${named('detection_finding')} | 1 |`,
    ...rows,
    `| every other administrative change | ${named('entity_management')} | 3 |`,
    '',
    '| member | from the record |',
    '|---|---|',
    '| `metadata.uid`, `metadata.sequence`, `metadata.log_name` | `LOG/SEQUENCE`, the same at every delivery |',
    '| `metadata.correlation_uid` | the action: one for request, dispatch and outcome |',
    '| `metadata.event_code` | the operation |',
    '| `actor.user`, `actor.session`, `actor.authorizations` | who acted, in which task, decided by which policies |',
    '| `ai_agent` | agent, its SPIFFE ID, its task, the model as declared (profile `ai_operation`) |',
    '| `api.operation`, `api.request.uid`, `api.service` | what was called, the action, the tool server |',
    '| `src_endpoint` | who called; the address where it was known |',
    '| `status_id`, `status_code`, `status_detail` | outcome, code and reason of the decision |',
    '| `raw_data_hash` | leaf hash of the record in the Merkle tree (RFC 6962) |',
    '| `attestation_list` | the log, and a SHA-256 over this event in canonical form without the fingerprint (profile `record_integrity`) |',
    '| `unmapped.gatehouse` | tier, approval, leases, digests, the actor chain, what was changed: what OCSF has no member for |',
    '',
  ].join('\n');
}

const limitSources = [
  ['Everywhere', 'packages/server/src/platform/config.ts', 'limits'],
  ['Standing delegations', 'packages/server/src/identity/delegation/limits.ts', 'delegationLimits'],
  ['Deputies', 'packages/server/src/approvals/limits.ts', 'deputyLimits'],
  ['Connections', 'packages/server/src/platform/connection-limits.ts', 'connectionLimits'],
  [
    'Workload federation, and tokens of identity providers',
    'packages/server/src/identity/federation/limits.ts',
    'federationLimits',
  ],
  ['Channels', 'packages/server/src/approvals/channels/limits.ts', 'channelLimits'],
  ['Policies', 'packages/server/src/policy/cedar/limits.ts', 'policyLimits'],
  ['Comparing policies', 'packages/server/src/authoring/diff/limits.ts', 'diffLimits'],
  ['Standing grants', 'packages/protocol/src/standing-grants.ts', 'grantLimits'],
  ['Break-glass', 'packages/protocol/src/break-glass.ts', 'breakGlassLimits'],
  ['Budgets', 'packages/server/src/enforcement/budgets/limits.ts', 'budgetLimits'],
  ['What is usual for agents', 'packages/server/src/policy/baseline/limits.ts', 'baselineLimits'],
  ['Information flow', 'packages/server/src/policy/flow/limits.ts', 'flowLimits'],
  ['Envoy’s external authorization', 'packages/server/src/gate/ext-authz/limits.ts', 'extAuthzLimits'],
  ['The AuthZEN door', 'packages/server/src/gate/authzen/limits.ts', 'authzenLimits'],
  ['What comes back from tools', 'packages/server/src/enforcement/results/limits.ts', 'resultLimits'],
  ['Searching the record', 'packages/server/src/ledger/search/limits.ts', 'searchLimits'],
  ['Who looked at the record', 'packages/server/src/ledger/read-limits.ts', 'readLimits'],
  ['Keeping and erasing', 'packages/server/src/ledger/keeping/limits.ts', 'keepingLimits'],
  ['Traces of tasks', 'packages/server/src/governance/trace/limits.ts', 'traceLimits'],
  ['Replays of the record', 'packages/server/src/governance/rehearsal/limits.ts', 'rehearsalLimits'],
  ['Proposed changes', 'packages/server/src/governance/second-person/limits.ts', 'secondPersonLimits'],
  ['Just-in-time credentials', 'packages/server/src/credentials/leases/limits.ts', 'leaseLimits'],
  ['The door for credentials', 'packages/server/src/gate/credentials/limits.ts', 'credentialDoorLimits'],
  ['People’s accounts at other systems', 'packages/server/src/credentials/accounts/limits.ts', 'accountLimits'],
  ['The MCP door', 'packages/server/src/gate/mcp/limits.ts', 'doorLimits'],
  ['The authorization server', 'packages/server/src/identity/authorization-server/limits.ts', 'authorizationLimits'],
  ['The trust domain', 'packages/server/src/identity/trust-domain/limits.ts', 'trustDomainLimits'],
  ['What the command line has confirmed', 'packages/server/src/identity/consent/limits.ts', 'confirmationLimits'],
  ['Sessions of people', 'packages/server/src/identity/people/limits.ts', 'sessionLimits'],
  ['Passkeys by a link', 'packages/server/src/identity/people/limits.ts', 'passkeyLimits'],
  [
    'Sign-in with an identity provider',
    'packages/server/src/identity/people/company-sign-in/limits.ts',
    'companySignInLimits',
  ],
  ['Directories (SCIM)', 'packages/server/src/identity/people/scim/limits.ts', 'scimLimits'],
  ['The key-encryption key', 'packages/server/src/storage/key-encryption/limits.ts', 'keyEncryptionLimits'],
  ['Delivery of the record to sinks', 'packages/server/src/ledger/export/limits.ts', 'exportLimits'],
  ['Backups', 'packages/server/src/backup/limits.ts', 'backupLimits'],
  ['The log', 'packages/server/src/ledger/limits.ts', 'ledgerLimits'],
  ['Toward tool servers', 'packages/server/src/gate/upstream/limits.ts', 'upstreamLimits'],
] as const;

/** The comments of the limits are their reasons; so the page is made from the source. */
function limitsPage(): string {
  const sections = limitSources.flatMap(([title, file, name]) => {
    const source = readFileSync(join(root, file), 'utf8');
    const body = new RegExp(`export const ${name}[^=]*= \\{([\\s\\S]*?)\\n\\}`).exec(source)?.[1] ?? '';
    const rows: string[] = [];
    let why = '';
    for (const [, comment, member, value] of body.matchAll(/\/\*\* ([\s\S]*?) \*\/|^ {2}(\w+): ([^\n]+),$/gm)) {
      if (comment !== undefined) why = comment.replaceAll(/\s*\n\s*\*\s*/g, ' ');
      else rows.push(`| \`${member}\` | ${value} | ${why} |`);
    }
    return [`## ${title}`, '', '| limit | value | why |', '|---|---|---|', ...rows, ''];
  });
  return ['# Limits', '', 'All are constants; a name ends with its unit.', '', ...sections].join('\n');
}

async function apiPage(): Promise<string> {
  const { apiRoutes } = await import('../packages/server/src/api/index.ts');
  // Route tables only look at what they are given when a route is called.
  const routes = apiRoutes({ config: {} } as Parameters<typeof apiRoutes>[0]);
  return [
    '# Control API',
    '',
    'Under `/api/v1`; OpenAPI 3.1 at `/api/v1/openapi.json`. People sign in with a passkey (session cookie); the CLI on the server’s host uses the operator',
    'token of the data directory, which counts as admin, security, auditor and developer, and never as approver. Agents’ tokens are refused everywhere here.',
    'A session of `gatehouse login` is sent as `Authorization: Session TOKEN` with a DPoP proof (RFC 9449) for each request, and is [restricted](roles.md#at-the-command-line):',
    'what it is not given answers 403 `confirmation.needed` with `confirmation: {id, url, expiresAt}`, and goes through once confirmed, with `Gatehouse-Confirmation: ID`.',
    'Errors are problem details (RFC 9457). Lists take `limit` (1–200) and the `cursor` of the page before.',
    '',
    '`GET /api/v1/events` streams records and approvals as server-sent events. `GET /log/LOG/…` serves a log’s checkpoint and tiles (C2SP tlog-tiles).',
    '',
    'Who may use a route follows from its group of actions: [roles](roles.md). `public` needs no session, `enrolling` any session.',
    '',
    '| route | what | action |',
    '|---|---|---|',
    ...routes.map(({ name, summary, access }) => `| \`${name}\` | ${summary} | ${access} |`),
    '',
  ].join('\n');
}

/** What each role may do with each route, asked of the policies themselves: no change of them goes unseen. */
async function rolesPage(): Promise<string> {
  const { apiRoutes, atTerminal, compileControlPolicies, guardedRoutes, reachOf, builtInPolicies } = await import(
    '../packages/server/src/api/index.ts'
  );
  const routes = guardedRoutes(apiRoutes({ config: {} } as Parameters<typeof apiRoutes>[0]));
  const policies = compileControlPolicies(routes, new Map());
  const who = [...role.options, 'nobody', 'operator'] as const;
  return [
    '# Roles',
    '',
    'What the built-in policies let each role do: `own` means only with agents that the person owns (or approvals of those), `nobody` is a person without a',
    'role, `operator` the local token of the server’s host. A workspace narrows and widens this with `ControlPolicy` manifests; see',
    '[roles and policies](../explanation/roles.md). Whether somebody may approve is decided again with the approval itself.',
    '',
    `| route | action | ${who.join(' | ')} |`,
    `|---|---|${who.map(() => '---|').join('')}`,
    ...routes.map((route) => {
      const cells = who.map((each) => {
        const reach = reachOf(policies, route, each);
        return reach === 'no' ? '' : reach;
      });
      return `| \`${route.name}\` | ${route.group} | ${cells.join(' | ')} |`;
    }),
    '',
    '## At the command line',
    '',
    'A session of the command line (`gatehouse login`) is restricted. Whatever roles its person has, it may do none of these, and an apply from it',
    'starts no program on the server’s host:',
    '',
    ...routes
      .filter((route) => role.options.every((each) => reachOf(policies, route, each, true) === 'no'))
      .map(({ name, group }) => `- \`${name}\` (${group})`),
    '',
    'These are carried out once its person has [confirmed](../how-to/sign-in-from-the-command-line.md#what-such-a-session-can-do) them in a browser. Of',
    'changes of state only activating is, of offboarding only with a successor, of applies only one that changes something:',
    '',
    ...routes
      .filter(({ name, group }) => atTerminal({ name, access: group }, { successor: '' }) === 'confirmed')
      .map(({ name, group }) => `- \`${name}\` (${group})`),
    '',
    'Everything else is done at once.',
    '',
    '## The built-in policies',
    '',
    '```cedar',
    builtInPolicies.trim(),
    '```',
    '',
  ].join('\n');
}

if (import.meta.main) {
  for (const [path, text] of await referencePages()) {
    writeFileSync(join(root, path), text);
    console.error(`wrote ${path}`);
  }
}
