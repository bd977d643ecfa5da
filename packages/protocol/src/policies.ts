import { z } from 'zod';
import { name, toolName } from './names.ts';

/** A part of a text. Lines and columns count from 1; the end is the place after the last character. */
export interface Place {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

/** Something to put right, or to look at, in what governs agents. */
export interface PolicyProblem {
  /** Stable: `policy.invalid`, `lint.shadowed` … */
  code: string;
  severity: 'error' | 'warning' | 'info';
  /** Of the manifest: `Policy`, `Template`, `Group`, `ToolServer` … */
  kind: string;
  name: string;
  /** Id of the one policy that it is about. */
  policy: string | null;
  /** In the manifest: `allow[0].tools[1]`; empty for the whole. */
  path: string;
  /** In the Cedar text of a policy. */
  place: Place | null;
  message: string;
  /** What to do. */
  help: string | null;
}

const schemaObject = z.record(z.string(), z.unknown());

/**
 * What tools take and give, as approved, in a file beside the manifests (`gatehouse definitions pull`): with it policies are checked and
 * tested without a server.
 */
export const toolDefinitions = z.strictObject({
  kind: z.literal('ToolDefinitions'),
  servers: z.record(
    name,
    z.record(
      toolName,
      z.strictObject({
        digest: z.string().regex(/^sha256-[0-9a-f]{64}$/),
        inputSchema: schemaObject,
        outputSchema: schemaObject.optional(),
      }),
    ),
  ),
});
export type ToolDefinitions = z.infer<typeof toolDefinitions>;
