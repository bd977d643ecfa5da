/** The state of a suite's world, as published (`NAME.environment.json`), and what its tools do to it. */
export type Environment = Record<string, unknown>;

/** A tool of a world. Throws ToolError where the tool itself says no. */
export type MockTool = (environment: Environment, args: Record<string, unknown>) => unknown;

export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** When everything happens here. What happens at a real time could not be compared. */
export const NOW = '2024-05-15 00:00:00';

export const text = (value: unknown): string => String(value ?? '');
export const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);

/** Ids are counted up from the highest there is. */
export function nextId(taken: Iterable<string>): string {
  return String(Math.max(-1, ...[...taken].map(Number).filter(Number.isFinite)) + 1);
}

/** `2024-05-15T10:00:00` and `2024-05-15 10:00` as tools give them. */
export function timeText(value: unknown): string {
  const [date = '', time = '00:00'] = text(value).trim().split(/[T ]/);
  return `${date} ${time.length === 5 ? `${time}:00` : time}`;
}
