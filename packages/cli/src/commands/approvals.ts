import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import {
  type Approval,
  type ApprovalContext,
  type ApprovalState,
  type ProviderAbilities,
  undoWords,
} from '@gatehouse/protocol';
import { residualOf } from '@gatehouse/protocol/residual';
import { openBrowser } from '../browser.ts';
import { exitCodes } from '../exit-codes.ts';
import { takeUpTo } from '../items.ts';
import { clean, cleanJson, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';
import { printProgress } from './deciders.ts';
import { credentialWords } from './policy-explain.ts';

interface ListOptions extends ServerOptions {
  state: string;
  agent?: string;
  task?: string;
  limit: string;
}

export const listApprovals: Run<ListOptions> = async ({ options, out }) => {
  const { agent, task } = options;
  const state = options.state === 'all' ? undefined : options.state;
  const limit = toNumber(options.limit, '--limit', 1, 100_000);
  const items = await takeUpTo(operatorOf(options).list('GET /approvals', { query: { state, agent, task } }), limit);
  if (out.json) return out.printJson({ items });
  if (items.length === 0) return out.note(options.state === 'pending' ? 'Nothing waits.' : 'There are none.');
  out.table(
    ['APPROVAL', 'STATE', 'AGENT', 'TOOL', 'UNTIL', 'ARGUMENTS'],
    items.map((each) => [
      each.id,
      each.state,
      each.agent,
      each.tool,
      timeOf(each.expiresAt),
      JSON.stringify(each.arguments).slice(0, 200),
    ]),
  );
};

export const showApproval: Run<ServerOptions> = async ({ args: [id = ''], options, out }) => {
  const operator = operatorOf(options);
  const approval = await operator.call('GET /approvals/:id', { params: { id } });
  const progress = await operator.call('GET /approvals/:id/progress', { params: { id } });
  const context = await operator.call('GET /approvals/:id/context', { params: { id } });
  if (out.json) return out.printJson({ ...approval, progress, context });
  out.facts([...factsOf(approval), ...contextFacts(approval, context)]);
  printProgress(progress, out);
  for (const { argument, words } of approval.origins) out.print(clean(`  ${argument} ${words}`));
  out.print(`${out.style('bold', 'Arguments')}\n${cleanJson(approval.arguments, '  ')}`);
};

interface ApproveOptions extends ServerOptions {
  wait?: boolean;
  browser: boolean;
}

/** How often a decision is looked for: a person takes longer. */
const POLL_MS = 1_000;

const exitByState: Record<ApprovalState, number> = {
  pending: exitCodes.pending,
  approved: exitCodes.ok,
  consumed: exitCodes.ok,
  denied: exitCodes.refused,
  expired: exitCodes.refused,
  cancelled: exitCodes.refused,
};

export const approve: Run<ApproveOptions> = async ({ args: [id = ''], options, out }) => {
  const operator = operatorOf(options);
  let approval = await operator.call('GET /approvals/:id', { params: { id } });
  const { publicUrl } = await operator.call('GET /status');
  const url = `${publicUrl}/approvals/${encodeURIComponent(approval.id)}`;
  if (approval.state === 'pending') {
    if (!out.json) {
      out.print(`${approval.agent} asks to run ${approval.tool} ${clean(JSON.stringify(approval.arguments))}`);
      out.print(`A person approves it with a passkey at ${url}`);
    }
    if (options.browser) {
      const problem = await openBrowser(url);
      if (problem !== undefined) out.note(`No browser could be opened (${problem}): open the address yourself.`);
    }
    while (options.wait && approval.state === 'pending') {
      await sleep(POLL_MS);
      approval = await operator.call('GET /approvals/:id', { params: { id } });
    }
  }
  if (out.json) out.printJson({ ...approval, url });
  else if (approval.state !== 'pending')
    out.print(`${approval.id}: ${approval.state}${approval.decidedBy ? ` by ${clean(approval.decidedBy)}` : ''}`);
  return exitByState[approval.state];
};

interface DenyOptions extends ServerOptions {
  reason: string;
  suspend?: 'task' | 'agent';
}

export const deny: Run<DenyOptions> = async ({ args: [id = ''], options, out }) => {
  const { reason, suspend } = options;
  const body = { reason, ...(suspend && { suspend }) };
  const approval = await operatorOf(options).call('POST /approvals/:id/deny', { params: { id }, body });
  if (out.json) out.printJson(approval);
  else {
    const stopped = suspend === 'agent' ? approval.agent : approval.task;
    out.print(`${approval.id}: ${approval.state}${suspend ? `; the ${suspend} ${stopped} is suspended` : ''}`);
  }
};

/** What of the credential works on, as its provider declares. */
function remainsWords(abilities: ProviderAbilities): string {
  const { words, remains } = residualOf(abilities);
  return remains === 'until-expiry' ? `${words} until it expires` : words;
}

/** What to know before a yes, beyond what it binds. */
function contextFacts({ undo, risk, arguments: args }: Approval, context: ApprovalContext): [string, string | null][] {
  const { description, similar, credential, vouchedBy, ticket, changeRequest, labels, history, budgets } = context;
  const named = (of: ApprovalContext['ticket']) => of && `${of.id}: ${of.state ?? 'no system has said its state'}`;
  const said = ({ approved, denied }: { approved: number; denied: number }) => `${approved} × yes, ${denied} × no`;
  return [
    ['What the tool does', description],
    ['Look at', risk.reasons.join('; ') || null],
    ['Can be undone', undoWords(undo)],
    ['Made with', credential && credentialWords(credential)],
    ['Once it is ended', credential?.kind ? remainsWords(credential.kind.abilities) : null],
    ['Intent vouched for by', vouchedBy ?? 'nobody'],
    ['Ticket', named(ticket)],
    ['Change request', named(changeRequest)],
    ['The task has read', [...new Set(labels.map(({ label, tool }) => `${label} (${tool})`))].join(', ') || null],
    [
      'Budgets',
      budgets.map(({ name, limit, fullest }) => `${name}: ${limit}, fullest at ${fullest} %`).join('; ') || null,
    ],
    ['Said before', `you ${said(history.you)}; others ${said(history.others)}`],
    ['Last one approved', similar && `${similar.approval} by ${similar.by}`],
    ['Different in', similar && differenceWords(similar.arguments, args)],
  ];
}

/** `amount_cents: 4000 → 990; note: is new` */
function differenceWords(before: unknown, after: unknown): string {
  const [was, is] = [before, after].map((each) => (each !== null && typeof each === 'object' ? each : {})) as [
    Record<string, unknown>,
    Record<string, unknown>,
  ];
  const text = (value: unknown) => (value === undefined ? 'nothing' : JSON.stringify(value));
  const different = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter(
    (name) => !isDeepStrictEqual(was[name], is[name]),
  );
  return different.map((name) => `${name}: ${text(was[name])} → ${text(is[name])}`).join('; ') || 'nothing';
}

function factsOf(approval: Approval): [string, string | null][] {
  return [
    ['Approval', approval.id],
    ['State', approval.state],
    ['Agent', approval.agent],
    ['Owner', approval.owner],
    ['Tool', approval.tool],
    ['Why a person', approval.decision.reason],
    ['Intent (declared)', approval.intent],
    ['Requested by (declared)', approval.requestedBy],
    ['On behalf of (declared)', approval.onBehalfOf],
    ['Task', approval.task],
    ['Template', approval.template],
    ['Environment', approval.environment],
    ['Asked', timeOf(approval.createdAt)],
    ['Until', timeOf(approval.expiresAt)],
    ['Decided', timeOf(approval.decidedAt)],
    ['By', approval.decidedBy],
    ['Reason', approval.reason],
    ['Action', approval.actionId],
    ['Digest', approval.digest],
  ];
}
