import {
  type BudgetManifest,
  type CredentialProviderManifest,
  credentialDestinations,
  credentialParts,
  type InjectionPlace,
  injectedIn,
  narrowScope,
  originOf,
  type TemplateManifest,
  type ToolServerManifest,
} from '@gatehouse/protocol';
import type { Workspace } from './check-workspace.ts';
import { skeleton } from './look-alikes.ts';
import { type ManifestProblem, missing, problemOf } from './manifest-problem.ts';
import { parametersIn } from './task-credential.ts';

export function patternProblems(
  objects: Workspace['objects'],
  patterns: string[],
  index: number,
  problem: ReturnType<typeof problemOf>,
): ManifestProblem[] {
  return patterns.flatMap((pattern, at) => {
    const message = patternProblem(objects, pattern);
    return message ? [problem(`allow[${index}].tools[${at}]`, message)] : [];
  });
}

/** What it looks at in the tools' arguments is checked where their definitions are known. Agents may be named before they are registered. */
export function checkBudget(objects: Workspace['objects'], budget: BudgetManifest): ManifestProblem[] {
  const problem = problemOf(budget);
  const unknown = (kind: 'Template' | 'Environment', path: string, names: string[] | undefined) =>
    (names ?? []).flatMap((name, at) =>
      objects.has(`${kind}/${name}`) ? [] : [problem(`${path}[${at}]`, missing(kind, name))],
    );
  return [
    ...(budget.tools ?? []).flatMap((pattern, at) => {
      const message = pattern.endsWith('#credential')
        ? handOutProblem(objects, pattern)
        : patternProblem(objects, pattern);
      return message ? [problem(`tools[${at}]`, message)] : [];
    }),
    ...unknown('Template', 'templates', budget.templates),
    ...unknown('Environment', 'environments', budget.environments),
  ];
}

export function checkTransport(manifest: ToolServerManifest): ManifestProblem[] {
  if (manifest.transport.type !== 'http') return [];
  const problem = problemOf(manifest);
  const url = new URL(manifest.transport.url);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return [problem('transport.url', `"${url.protocol}" is not spoken here: give an https: (or http:) address.`)];
  if (url.username || url.password)
    return [problem('transport.url', 'The address holds a user name or password: take it out, addresses are shown.')];
  return [];
}

export function checkProvider(manifest: CredentialProviderManifest): ManifestProblem[] {
  if (!manifest.direct || !credentialDestinations(manifest.from)) return [];
  const why =
    'What it has outlives every task, so that it is handed to nobody: take out `direct`, and use it through a tool server.';
  return [problemOf(manifest)('direct', why)];
}

/** Where what is sent to it goes, as secrets are stored for it. */
export const destinationOf = ({ name, transport }: ToolServerManifest): string =>
  transport.type === 'http' ? originOf(transport.url) : `stdio://${name}`;

const PLACEHOLDER = /\{([a-zA-Z]+)\}/g;
/** What the connection itself says, and what a credential must not say in its stead. */
const RESERVED_HEADERS =
  /^(mcp-.*|txn-token|traceparent|tracestate|host|connection|content-.*|transfer-encoding|accept.*|te|upgrade|trailer|keep-alive|proxy-.*|last-event-id)$/i;
const RESERVED_VARIABLES = /^(PATH|NODE_OPTIONS|LD_.*|DYLD_.*)$/;
const reserved: Partial<Record<InjectionPlace, RegExp>> = {
  env: RESERVED_VARIABLES,
  files: RESERVED_VARIABLES,
  headers: RESERVED_HEADERS,
};

/** The credential that each task gets for it: of whom, and where its parts go. */
export function checkCredential(objects: Workspace['objects'], manifest: ToolServerManifest): ManifestProblem[] {
  const { transport } = manifest;
  const { credential } = transport;
  if (!credential) return [];
  const problem = problemOf(manifest);
  const problems: ManifestProblem[] = [];
  const provider = objects.get(`CredentialProvider/${credential.provider}`);
  if (provider?.kind !== 'CredentialProvider')
    problems.push(problem('transport.credential.provider', missing('CredentialProvider', credential.provider)));
  else {
    const narrowed = narrowScope(provider.from, credential.scope);
    if ('problem' in narrowed) problems.push(problem('transport.credential.scope', narrowed.problem));
    const destinations = credentialDestinations(provider.from);
    const own = destinationOf(manifest);
    if (destinations && !destinations.includes(own))
      problems.push(
        problem(
          'transport.credential.provider',
          `What "${provider.name}" has is for ${destinations.join(', ')} only. If it belongs here, add ${own} to its \`for\`.`,
        ),
      );
    for (const environment of manifest.environments)
      if (!provider.environments.includes(environment))
        problems.push(
          problem(
            'transport.credential.provider',
            `The provider "${provider.name}" issues nothing in ${environment}, where this server is offered. Add it to the provider's \`environments\`.`,
          ),
        );
  }
  const known = provider?.kind === 'CredentialProvider' ? credentialParts(provider.from) : [];
  const listed = known.map((part) => `\`{${part}}\``).join(', ');
  const places = injectedIn(credential);
  if (places.every(([, templates]) => Object.keys(templates).length === 0))
    problems.push(problem('transport.credential', 'Say where the credential goes: it is in nothing here.'));
  for (const [where, templates] of places)
    for (const [name, template] of Object.entries(templates)) {
      const path = `transport.credential.${where}.${name}`;
      const parts = [...template.matchAll(PLACEHOLDER)].map(([, part]) => part);
      if (parts.length === 0)
        problems.push(problem(path, `Nothing of the credential is in it: write one of ${listed}.`));
      for (const part of parts)
        if (provider && !known.includes(part as string))
          problems.push(
            problem(path, `A credential of "${credential.provider}" has no part "${part}": there are ${listed}.`),
          );
      if (reserved[where]?.test(name))
        problems.push(
          problem(path, `"${name}" has a meaning of its own here and is not for credentials: take another name.`),
        );
    }
  if (transport.type === 'stdio') {
    if (manifest.stateless)
      problems.push(
        problem(
          'transport.credential',
          'A stateless program serves several tasks, and a credential is one task’s: take out `stateless`.',
        ),
      );
    const { env = {}, files = {} } = transport.credential ?? {};
    for (const name of Object.keys(transport.env))
      if (Object.hasOwn(env, name) || Object.hasOwn(files, name))
        problems.push(problem(`transport.env.${name}`, 'The credential sets it, too: take out one of them.'));
    for (const name of Object.keys(files))
      if (Object.hasOwn(env, name))
        problems.push(problem(`transport.credential.files.${name}`, '`env` sets it, too: take out one of them.'));
  } else problems.push(...checkHttpCredential(manifest));
  return problems;
}

function checkHttpCredential(manifest: ToolServerManifest): ManifestProblem[] {
  const { transport } = manifest;
  if (transport.type !== 'http' || !transport.credential) return [];
  const { headers = {}, query = {}, clientCertificate, awsSignature } = transport.credential;
  const problem = problemOf(manifest);
  const problems: ManifestProblem[] = [];
  const url = new URL(transport.url);
  for (const name of Object.keys(query))
    if (url.searchParams.has(name))
      problems.push(problem(`transport.credential.query.${name}`, 'The address has it already: take out one of them.'));
  if (clientCertificate && url.protocol !== 'https:')
    problems.push(problem('transport.url', 'A certificate is shown to an https: address only.'));
  if (awsSignature) {
    const taken = Object.keys(headers).filter((name) => /^(authorization|x-amz-.*)$/i.test(name));
    for (const name of taken)
      problems.push(problem(`transport.credential.headers.${name}`, 'The signature has its own: take it out.'));
    if (transport.authorization)
      problems.push(problem('transport.authorization', 'Each request is signed instead: take out one of them.'));
  }
  if (new URL(transport.url).protocol !== 'https:' && !transport.allowPrivateAddress)
    problems.push(problem('transport.url', 'A credential goes there, so that it has to be an https: address.'));
  return problems;
}

export function checkToolNames(manifest: ToolServerManifest): ManifestProblem[] {
  const seen = new Map<string, string>();
  return Object.keys(manifest.tools).flatMap((tool) => {
    const other = seen.get(skeleton(tool));
    seen.set(skeleton(tool), tool);
    return other === undefined
      ? []
      : [
          problemOf(manifest)(
            `tools.${tool}`,
            `"${tool}" looks like "${other}": a person could take one for the other. Name one of them.`,
          ),
        ];
  });
}

export function checkTemplate(objects: Workspace['objects'], template: TemplateManifest): ManifestProblem[] {
  const problem = problemOf(template);
  return [
    ...checkGiven(objects, template),
    ...template.allow.flatMap((entry, index) => [
      ...patternProblems(objects, entry.tools ?? [], index, problem),
      ...Object.entries(entry.when ?? {}).flatMap(([argument, value]) => {
        if (typeof value !== 'string' || !value.startsWith('$')) return [];
        return Object.hasOwn(template.parameters, value.slice(1))
          ? []
          : [
              problem(
                `allow[${index}].when.${argument}`,
                `The template has no parameter "${value.slice(1)}": declare it under \`parameters\`, or correct the name.`,
              ),
            ];
      }),
    ]),
  ];
}

/** With a parameter in it, what it comes to is known once a task has a value: then too much is refused as the credential is needed. */
function checkGiven(objects: Workspace['objects'], template: TemplateManifest): ManifestProblem[] {
  const problem = problemOf(template);
  return (template.credentials ?? []).flatMap(({ provider, scope }, at, all) => {
    const path = `credentials[${at}]`;
    if (all.findIndex((each) => each.provider === provider) < at)
      return [
        problem(`${path}.provider`, `"${provider}" is named twice: say in one entry what tasks are given of it.`),
      ];
    const declared = objects.get(`CredentialProvider/${provider}`);
    if (declared?.kind !== 'CredentialProvider')
      return [problem(`${path}.provider`, missing('CredentialProvider', provider))];
    const named = parametersIn(scope);
    const unknown = named.filter((name) => !Object.hasOwn(template.parameters, name));
    if (unknown.length > 0)
      return unknown.map((name) =>
        problem(
          `${path}.scope`,
          `The template has no parameter "${name}": declare it under \`parameters\`, or correct the name.`,
        ),
      );
    const narrowed = named.length > 0 ? undefined : narrowScope(declared.from, scope);
    return narrowed && 'problem' in narrowed ? [problem(`${path}.scope`, narrowed.problem)] : [];
  });
}

function handOutProblem(objects: Workspace['objects'], pattern: string): string | undefined {
  const [provider = ''] = pattern.split('#');
  if (provider === '*') return undefined;
  const manifest = objects.get(`CredentialProvider/${provider}`);
  if (manifest?.kind !== 'CredentialProvider') return `"${pattern}": ${missing('CredentialProvider', provider)}`;
  return manifest.direct
    ? undefined
    : `"${pattern}": nobody is handed a credential of ${provider}, since its manifest has no \`direct\`.`;
}

function patternProblem(objects: Workspace['objects'], pattern: string): string | undefined {
  if (pattern === '*') return undefined;
  const [, server = '', separator, rest = ''] = /^([^/#]+)([/#])(.*)$/.exec(pattern) ?? [];
  const manifest = objects.get(`ToolServer/${server}`);
  if (manifest?.kind !== 'ToolServer') return `"${pattern}": ${missing('ToolServer', server)}`;
  if (separator === '#') {
    return manifest[rest as 'resources' | 'prompts']
      ? undefined
      : `"${pattern}": the manifest of ${server} grants no ${rest}. Give them a tier there: \`${rest}: {tier: 1}\`.`;
  }
  if (rest === '*' || Object.hasOwn(manifest.tools, rest)) return undefined;
  const named = Object.keys(manifest.tools).slice(0, 20).join(', ') || 'none';
  return `"${pattern}": the manifest of ${server} does not name this tool, so it is prohibited. It names: ${named}.`;
}
