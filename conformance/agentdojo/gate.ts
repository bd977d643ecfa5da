import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { ManifestInput } from '@gatehouse/protocol';
import { type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { loadManifests } from '@gatehouse/server/manifests';
import { Client } from '@modelcontextprotocol/client';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type SignedInPerson, startWorkspace, type Workspace } from '../../test/support/workspace.ts';
import { kindTemplates, templateFor } from './kinds.ts';
import type { Labels } from './labels.ts';
import { serverOf, startWorld, type World } from './mock/server.ts';
import type { Suite, UserTask } from './suite.ts';

/** A suite's tools behind the gate as a user runs it: SQLite, real tokens with proofs, the default pack. */
export interface Gate {
  world: World;
  workspace: Workspace;
  approver: SignedInPerson;
  /** Starts a task for a prompt that a trusted workload vouches for, under the template of its kind. */
  begin(user: UserTask): Promise<Session>;
  close(): Promise<void>;
}

export interface Session {
  task: AgentTask;
  template: string;
  call(tool: string, args: Record<string, unknown>): Promise<Awaited<ReturnType<Client['callTool']>>>;
  end(): Promise<void>;
}

const AGENT = 'agent-suite';
const ISSUER = 'https://starter.example.test';
const packs = join(import.meta.dirname, '..', '..', 'packs');

export async function startGate(suite: Suite, labels: Labels): Promise<Gate> {
  const world = await startWorld(suite, labels);
  const workspace = await startWorkspace();
  const pair = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256' };
  const { problems } = await workspace.apply(manifestsFor(world, labels, jwk));
  const [problem] = problems;
  if (problem) throw new Error(`${problem.server}: ${problem.problem}`);
  const approver = await workspace.person('approver@example.test');
  const agent = await workspace.agent(AGENT);

  /** What a ticket system or a scheduler does: it proves itself, and vouches for what it asks for. */
  async function start(intent: string, template: string): Promise<string> {
    const token = await new SignJWT({ sub: 'starter', jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'JWT' })
      .setIssuer(ISSUER)
      .setAudience(workspace.url)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(pair.privateKey);
    const response = await fetch(`${workspace.url}/workload/tasks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ proof: { token }, agent: AGENT, task: { type: 'urn:gatehouse:task', template, intent } }),
    });
    const answer = (await response.json()) as { task?: { id: string }; detail?: string };
    if (!answer.task) throw new Error(`no task was started: ${answer.detail}`);
    return answer.task.id;
  }

  return {
    world,
    workspace,
    approver,
    async begin({ prompt }) {
      const template = templateFor(prompt);
      const task = await agent.resumeTask(await start(prompt, template));
      const client = new Client({ name: 'agentdojo', version: '1.0.0' });
      await client.connect(createMcpTransport(task));
      return {
        task,
        template,
        call: (tool, args) => client.callTool({ name: `${serverOf(labels, tool)}__${tool}`, arguments: args }),
        async end() {
          await client.close().catch(() => undefined);
          await task.end();
        },
      };
    },
    async close() {
      await workspace.close();
      await world.close();
    },
  };
}

function manifestsFor(world: World, labels: Labels, jwk: object): ManifestInput[] {
  return [
    { kind: 'Environment', name: 'suite' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin', 'owner'] },
    { kind: 'Person', email: 'approver@example.test', displayName: 'Approver', roles: ['approver'] },
    ...loadManifests(join(packs, 'default')),
    { kind: 'Blueprint', name: 'suite', templates: kindTemplates },
    {
      kind: 'Agent',
      name: AGENT,
      owner: 'owner@example.test',
      purpose: 'does what a suite asks for',
      environment: 'suite',
      blueprint: 'suite',
    },
    {
      kind: 'Workload',
      name: 'starter',
      owner: 'owner@example.test',
      purpose: 'starts tasks for people',
      environment: 'suite',
      starts: [AGENT],
    },
    {
      kind: 'TrustRule',
      name: 'starter',
      issuer: { type: 'oidc', url: ISSUER, jwks: { keys: [jwk as never] } },
      claims: { sub: 'starter' },
      workload: 'starter',
    },
    ...world.servers.map(
      ({ name, url, tools }): ManifestInput => ({
        kind: 'ToolServer',
        name,
        environments: ['suite'],
        stateless: true,
        transport: { type: 'http', url, allowPrivateAddress: true },
        tools: Object.fromEntries(tools.map((tool) => [tool, labels.get(tool) as never])),
      }),
    ),
  ];
}
