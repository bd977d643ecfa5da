import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { type HttpPeer, serveBothEras } from '../../../test/peers/both-eras.ts';
import { type Labels, readsOnly } from '../labels.ts';
import { plant } from '../plant.ts';
import type { Suite } from '../suite.ts';
import { type Environment, ToolError } from './environment.ts';
import { mockTool } from './tools.ts';

/** A world behind MCP servers, one for each domain of its tools. `environment` is what their calls act on: set it to begin anew. */
export interface World {
  environment: Environment;
  /** How many calls have reached a tool. */
  reached: number;
  /** What the last call was answered, as it goes over the wire. */
  answered: unknown;
  /** What an attacker has put where the next call finds it. */
  injected: string | null;
  servers: { name: string; url: string; tools: string[] }[];
  close(): Promise<void>;
}

export const serverOf = (labels: Labels, tool: string): string => labels.get(tool)?.domain ?? 'tools';

export async function startWorld(suite: Suite, labels: Labels): Promise<World> {
  const world: World = {
    environment: {},
    reached: 0,
    answered: null,
    injected: null,
    servers: [],
    close: async () => undefined,
  };
  const byServer = Map.groupBy(suite.tools, ({ name }) => serverOf(labels, name));
  const peers: HttpPeer[] = [];
  for (const [name, tools] of byServer) {
    const definitions = tools.map((tool) => ({
      tool,
      schema: fromJsonSchema<Record<string, unknown>>(tool.inputSchema),
      run: mockTool(suite, tool.name, readsOnly(labels.get(tool.name))),
    }));
    const peer = await serveBothEras(() => {
      const server = new McpServer({ name, version: '1.0.0' });
      for (const { tool, schema, run } of definitions) {
        server.registerTool(tool.name, { description: tool.description, inputSchema: schema }, (args) => {
          world.reached++;
          try {
            const returned = run(world.environment, args);
            const result = world.injected === null ? returned : plant(returned, world.injected, labels.get(tool.name));
            world.answered = JSON.parse(JSON.stringify(result));
            // As the SDKs of other languages wrap what is no object.
            return {
              content: [{ type: 'text', text: typeof result === 'string' ? result : JSON.stringify(result) }],
              structuredContent: { result },
            };
          } catch (error) {
            if (!(error instanceof ToolError)) throw error;
            return { content: [{ type: 'text', text: error.message }], isError: true };
          }
        });
      }
      return server;
    });
    peers.push(peer);
    world.servers.push({ name, url: peer.url, tools: tools.map((tool) => tool.name) });
  }
  world.close = async () => {
    await Promise.all(peers.map((peer) => peer.close()));
  };
  return world;
}
