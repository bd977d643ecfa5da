import { type AgentClient, createAgent, type TaskRequest } from '@gatehouse/sdk/agent';
import type { AgentCredential } from '@gatehouse/sdk/credentials';
import { GatehouseRequestError } from '@gatehouse/sdk/errors';

export type AgentTask = Awaited<ReturnType<AgentClient['startTask']>>;

export interface GateOptions {
  url: string;
  /** See ServerTrust. */
  ca?: string;
  agent: string;
  /** How the agent proves itself. */
  credential: AgentCredential;
  bearerOnly: boolean;
  task: TaskRequest;
  /** One tool server only. */
  server?: string;
  note(text: string): void;
}

const MAX_TOKENS = 20;

/** The way to the gate: a task that is started when it is first needed, and again when its time is over. */
export interface Gate {
  /**
   * A request to the MCP door with the task's token. Throws GatehouseRequestError when it was surely not taken: nobody answers,
   * or the agent may not start a task.
   */
  send(init: RequestInit, toServer?: string): Promise<Response>;
  /** The same to another path of the server, with the task that it was sent in. */
  request(path: string, init: RequestInit): Promise<{ response: Response; task: AgentTask }>;
  /** The task, started if there is none yet. */
  task(): Promise<AgentTask>;
  /** Every token that was used: what is not to be seen anywhere. */
  tokens(): Iterable<string>;
  /** Ends the task, if there is one. */
  end(): Promise<void>;
  /** True when the last attempt to start a task failed. */
  readonly hasFailed: boolean;
}

export function createGate({ url, ca, agent, credential, bearerOnly, task, server, note }: GateOptions): Gate {
  let client: Promise<AgentClient> | undefined;
  let running: Promise<AgentTask> | undefined;
  let hasFailed = false;
  const tokens = new Set<string>();

  function start(): Promise<AgentTask> {
    client ??= createAgent({ url, agent, credential, bearerOnly, ...(ca !== undefined && { ca }) });
    running = client.then((made) => made.startTask(task));
    running.then(
      ({ id }) => {
        hasFailed = false;
        note(`task ${id} of ${agent}, template ${task.template}`);
      },
      (error: unknown) => {
        hasFailed = true;
        client = undefined;
        running = undefined;
        note(error instanceof Error ? error.message : String(error));
      },
    );
    return running;
  }

  /** Those of hours are of no use to anybody any more. */
  async function remember(task: AgentTask): Promise<void> {
    tokens.add(await task.token().catch(() => ''));
    for (const old of tokens) if (tokens.size > MAX_TOKENS) tokens.delete(old);
  }

  /** A task has an end; whoever uses the client has not. What a person ended or killed stays so: the server refuses then. */
  async function restartIfOver(response: Response, used: Promise<AgentTask>): Promise<AgentTask | undefined> {
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => undefined);
    const said = body as { error?: { data?: { code?: unknown } }; title?: unknown } | undefined;
    const code = said?.error?.data?.code ?? said?.title;
    if (code !== 'task.over' && code !== 'token.expired') return undefined;
    if (running === used) running = undefined;
    return running ?? start();
  }

  async function sendTo(
    target: (by: AgentTask) => URL,
    init: RequestInit,
  ): Promise<{ response: Response; task: AgentTask }> {
    const used = running ?? start();
    const current = await used;
    const attempt = (by: AgentTask) =>
      by.fetch(target(by), init).catch((cause: unknown) => {
        if (init.signal?.aborted || cause instanceof GatehouseRequestError) throw cause;
        throw isRefusedConnection(cause)
          ? new GatehouseRequestError(0, 'server.unreachable', `No Gatehouse server answers at ${url}.`, { cause })
          : cause;
      });
    const response = await attempt(current);
    await remember(current);
    if (response.status !== 401) return { response, task: current };
    const renewed = await restartIfOver(response, used);
    return renewed ? { response: await attempt(renewed), task: renewed } : { response, task: current };
  }

  return {
    get hasFailed() {
      return hasFailed;
    },
    tokens: () => tokens,
    async task() {
      const current = await (running ?? start());
      await remember(current);
      return current;
    },
    send: async (init, toServer = server) => (await sendTo((by) => by.mcpUrl(toServer), init)).response,
    request: (path, init) => sendTo(() => new URL(path, url), init),
    async end() {
      if (!running) return;
      const current = await running;
      await current.end();
    },
  };
}

/** Nothing was sent in these cases; in every other, who knows. */
const beforeSending = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function isRefusedConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { cause, code } = error as Error & { code?: string };
  if (code !== undefined && beforeSending.has(code)) return true;
  if (cause instanceof AggregateError) return cause.errors.every(isRefusedConnection);
  return isRefusedConnection(cause);
}
