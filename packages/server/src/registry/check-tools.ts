import type { BudgetManifest, TemplateManifest, ToolServerManifest } from '@gatehouse/protocol';
import type { Workspace } from './check-workspace.ts';
import { skeleton } from './look-alikes.ts';
import { type ManifestProblem, missing, problemOf } from './manifest-problem.ts';

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
      const message = patternProblem(objects, pattern);
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
  return template.allow.flatMap((entry, index) => [
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
  ]);
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
