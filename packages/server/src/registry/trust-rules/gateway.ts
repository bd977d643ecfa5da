import type { WorkloadManifest } from '@gatehouse/protocol';

interface Known {
  environmentOf(agent: string): string | undefined;
  serverEnvironments(name: string): readonly string[] | undefined;
  hasTemplate(name: string): boolean;
}

/** What a gateway's manifest says must hold together: nothing of another environment, and no request that could be two calls. */
export function gatewayProblems(workload: WorkloadManifest, known: Known): [string, string][] {
  const { gateway, environment, starts } = workload;
  if (!gateway) return [];
  const problems: [string, string][] = [];
  const report = (path: string, message: string) => problems.push([`gateway.${path}`, message]);
  const behind = new Set(gateway.servers);

  for (const [at, server] of gateway.servers.entries()) {
    const environments = known.serverEnvironments(server);
    if (!environments)
      report(`servers[${at}]`, `There is no ToolServer "${server}". Add its manifest, or correct the name.`);
    else if (!environments.includes(environment))
      report(`servers[${at}]`, `The tool server "${server}" is not in ${environment}, and environments do not cross.`);
  }
  for (const [path, server] of Object.entries(gateway.mcp))
    if (!behind.has(server)) report(`mcp["${path}"]`, notBehind(server));
  const needsUrl = Object.keys(gateway.mcp).length + gateway.routes.length > 0;
  if (needsUrl && gateway.urls.length === 0)
    report('urls', 'Say where agents reach this gateway: what they sign is made for that address.');

  const seen = new Map<string, number>();
  for (const [at, { method, path, tool, arguments: given }] of gateway.routes.entries()) {
    if (!behind.has(serverOf(tool))) report(`routes[${at}].tool`, notBehind(serverOf(tool)));
    const shape = `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`;
    const other = seen.get(shape);
    if (other !== undefined) report(`routes[${at}]`, `It takes the same requests as routes[${other}].`);
    seen.set(shape, at);
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
    const used = Object.values(given).flatMap((source) => (source.startsWith('$path.') ? [source.slice(6)] : []));
    if (new Set(names).size < names.length) report(`routes[${at}].path`, 'A name stands in it twice.');
    for (const name of names.filter((each) => !used.includes(each)))
      report(`routes[${at}].arguments`, `No argument takes {${name}}, so that it would be decided on without it.`);
    for (const name of used.filter((each) => !names.includes(each)))
      report(`routes[${at}].arguments`, `The path has no {${name}}.`);
    const sources = Object.values(given);
    if (sources.includes('$body') && sources.some((source) => source.startsWith('$body.')))
      report(`routes[${at}].arguments`, 'The whole body and members of it cannot both be arguments.');
    if ((method === 'GET' || method === 'HEAD') && sources.some((source) => source.startsWith('$body')))
      report(`routes[${at}].arguments`, `A ${method} request has no body.`);
  }

  const types = new Set<string>();
  for (const [at, { type, actions }] of gateway.resources.entries()) {
    if (types.has(type)) report(`resources[${at}].type`, `The type "${type}" stands twice.`);
    types.add(type);
    if (ownTypes.has(type))
      report(`resources[${at}].type`, `"${type}" is what MCP itself has, and cannot be given another meaning.`);
    for (const [action, tool] of Object.entries(actions))
      if (!behind.has(serverOf(tool))) report(`resources[${at}].actions.${action}`, notBehind(serverOf(tool)));
  }

  const people = new Set<string>();
  for (const [at, { type, id, agent, template }] of gateway.subjects.entries()) {
    if (people.has(`${type}/${id}`)) report(`subjects[${at}]`, `The subject "${id}" of type "${type}" stands twice.`);
    people.add(`${type}/${id}`);
    const its = known.environmentOf(agent);
    if (its === undefined) report(`subjects[${at}].agent`, `There is no Agent "${agent}".`);
    else if (its !== environment)
      report(`subjects[${at}].agent`, `The agent "${agent}" is of ${its}, and environments do not cross.`);
    if (template === undefined) continue;
    if (!known.hasTemplate(template)) report(`subjects[${at}].template`, `There is no Template "${template}".`);
    if (!starts.includes(agent))
      report(`subjects[${at}].template`, `To start tasks of "${agent}" the workload has to name it under \`starts\`.`);
  }
  return problems;
}

/** Types of resources in the MCP binding of AuthZEN. */
const ownTypes = new Set(['tool', 'resource', 'prompt', 'task', 'mcp_server']);

const serverOf = (tool: string) => tool.slice(0, tool.indexOf('/'));

const notBehind = (server: string) => `"${server}" is not among the \`servers\` of this gateway.`;
