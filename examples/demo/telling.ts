import { styleText } from 'node:util';

interface ToolResult {
  content?: unknown;
  isError?: boolean | undefined;
  _meta?: Record<string, unknown> | undefined;
}

const colours = {
  done: 'green',
  refused: 'red',
  pending: 'yellow',
  recorded: 'gray',
  request: 'yellow',
  dispatch: 'cyan',
  outcome: 'green',
  change: 'gray',
} as const;

export function title(text: string): void {
  console.log(`\n${styleText('bold', text)}`);
}

export function say(text: string): void {
  console.log(`  ${text}`);
}

export function line(kind: keyof typeof colours, text: string): void {
  console.log(`  ${styleText(colours[kind], kind.padEnd(9))} ${text}`);
}

/** A call that ran. */
export function show(result: ToolResult): void {
  if (result.isError) throw new Error(`the call should have run: ${textOf(result)}`);
  line('done', textOf(result).replaceAll(/\s+/g, ' ').slice(0, 200));
}

/** A call that the gate stopped, in the way that the story says. */
export function expect(result: ToolResult, kind: 'refused' | 'pending'): void {
  const isPending = result._meta?.['gatehouse/approval'] !== undefined;
  if (!result.isError || isPending !== (kind === 'pending')) throw new Error(`expected "${kind}": ${textOf(result)}`);
  line(kind, textOf(result).split('\n')[0] ?? '');
}

export function textOf(result: ToolResult): string {
  const parts = Array.isArray(result.content) ? (result.content as { type: string; text?: string }[]) : [];
  return parts.map(({ text }) => text ?? '').join('\n');
}
