import type { Severity } from '@gatehouse/protocol';
import { z } from 'zod';
import type { Json } from '../../platform/index.ts';
import { resultLimits } from './limits.ts';

/** One piece of a text: `text` is its place in what was sent, `from` and `to` are UTF-16 code units. */
export interface Span {
  text: number;
  from: number;
  to: number;
}

export interface OutsideFinding {
  kind: string;
  severity: Severity;
  spans: Span[];
}

const place = z.int().min(0);
const answer = z.object({
  findings: z
    .array(
      z.object({
        kind: z
          .string()
          .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/)
          .max(60),
        severity: z.enum(['low', 'medium', 'high']),
        spans: z
          .array(z.object({ text: place, from: place, to: place }))
          .max(resultLimits.detectorSpans)
          .default([]),
      }),
    )
    .max(resultLimits.detectorFindings),
});

/**
 * What a detector says, or why it makes no sense. Members that are not of this form are not looked at: there is none that takes anything
 * back.
 */
export function readAnswer(json: Json, texts: readonly string[]): OutsideFinding[] | string {
  const read = answer.safeParse(json);
  if (!read.success) {
    const [issue] = read.error.issues;
    return `its answer is not what was agreed (${issue?.path.join('.') || 'the whole'}: ${issue?.message.slice(0, 200)})`;
  }
  const { findings } = read.data;
  if (findings.reduce((sum, { spans }) => sum + spans.length, 0) > resultLimits.detectorSpans)
    return `it names more than ${resultLimits.detectorSpans} pieces`;
  for (const { spans } of findings)
    for (const { text, from, to } of spans)
      if (from >= to || to > (texts[text]?.length ?? -1))
        return `it names a piece that is not there (text ${text}, ${from} to ${to})`;
  return findings;
}
