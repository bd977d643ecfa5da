import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyProblem } from '@gatehouse/protocol';
import { isJsonObject } from '../../platform/index.ts';
import { literalEntity, NAMESPACE, nearest } from '../../policy/index.ts';
import type { Authored } from '../workspace.ts';
import type { Facts } from './facts.ts';

/** What nothing can ever match or use. */
export function unused({ workspace, facts, finding }: Facts): PolicyProblem[] {
  const known = knownNames(workspace);
  return [
    ...facts.flatMap((fact) => {
      const found: PolicyProblem[] = [];
      if (fact.subjects.size === 0)
        found.push(
          finding(fact, {
            code: 'unused-policy',
            message: 'no registered tool is in its scope, so that it never applies',
            help: 'correct action or resource, or take it out',
          }),
        );
      for (const { kind, id } of entitiesIn(fact.policy.json)) {
        const names = known[kind];
        if (!names || names.has(id)) continue;
        const near = nearest(id, names);
        found.push(
          finding(fact, {
            code: 'unknown-name',
            message: `there is no ${kind} "${id}", so that nothing is ever in it`,
            help: near ? `did you mean "${near}"?` : 'correct the name, or add its manifest',
          }),
        );
      }
      return found;
    }),
    ...unusedTemplates(workspace),
    ...[...workspace.groups.values()]
      .filter(({ members, directoryGroup }) => members.length === 0 && directoryGroup === undefined)
      .map(({ name }) =>
        of(
          'Group',
          name,
          'empty-group',
          'nobody is in it, so that what it allows is allowed to nobody',
          'name members or a directoryGroup, or take it out',
        ),
      ),
  ];
}

/** Only where blueprints are declared: a pack of templates is for the blueprints of others. */
function unusedTemplates({ templates, blueprints }: Authored): PolicyProblem[] {
  if (blueprints.size === 0) return [];
  const used = new Set([...blueprints.values()].flatMap((blueprint) => blueprint.templates));
  return [...templates.keys()]
    .filter((name) => !used.has(name))
    .map((name) =>
      of(
        'Template',
        name,
        'unused-template',
        'no blueprint has it, so that no agent can start a task under it',
        'add it to the `templates` of a blueprint, or take it out',
      ),
    );
}

function of(kind: string, name: string, code: string, message: string, help: string): PolicyProblem {
  return { code: `lint.${code}`, severity: 'warning', kind, name, policy: null, path: '', place: null, message, help };
}

function knownNames(workspace: Authored): Record<string, ReadonlySet<string>> {
  const { templates, environments, blueprints, agents, groups, people, servers } = workspace;
  const all: [string, ReadonlyMap<string, unknown>][] = [
    ['Template', templates],
    ['Environment', environments],
    ['Blueprint', blueprints],
    ['Agent', agents],
    ['Group', groups],
    ['User', people],
    ['ToolServer', servers],
  ];
  // Of a kind that nobody declares here, a pack may speak: it is declared elsewhere.
  return Object.fromEntries(all.filter(([, map]) => map.size > 0).map(([kind, map]) => [kind, new Set(map.keys())]));
}

function entitiesIn(node: unknown, found: { kind: string; id: string }[] = []): { kind: string; id: string }[] {
  if (Array.isArray(node)) for (const each of node) entitiesIn(each, found);
  else if (isJsonObject(node)) {
    const entity =
      'type' in node && 'id' in node ? (node as { type: string; id: string }) : literalEntity(node as unknown as Expr);
    if (entity) {
      const kind = String(entity.type).slice(NAMESPACE.length + 2);
      if (!found.some((each) => each.kind === kind && each.id === entity.id)) found.push({ kind, id: entity.id });
    } else for (const member of Object.values(node)) entitiesIn(member, found);
  }
  return found;
}
