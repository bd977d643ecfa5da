import { type DetectorManifest, type Severity, toolPatternMatches } from '@gatehouse/protocol';
import type { Json, Log, Outbound, Secret } from '../../platform/index.ts';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import { type OutsideFinding, readAnswer, type Span } from './detector-answer.ts';
import { resultLimits } from './limits.ts';
import { mapTexts } from './texts.ts';
import { createTurns } from './turns.ts';

/** What is looked at: a result on its way to the agent, or what a server asks the agent's client. */
export interface LookedAt {
  tool: RegisteredTool;
  environment: string;
  operation: string;
  direction: 'result' | 'question';
  body: Json;
  /** Kinds of sensitive data that are masked in it. */
  mask: ReadonlySet<string>;
  placeholder(kind: string, value: string): string;
}

/** What detectors have raised. Nothing in it can lower anything. */
export interface Raised {
  body: Json;
  isUntrusted: boolean;
  /** Kinds of sensitive data that it has. */
  sensitive: string[];
  /** For the record: `detected:KIND`, `not-looked-at:DETECTOR`. */
  labels: string[];
  /** Why a person has to release it. */
  hold: string | null;
}

export interface OutsideDetectors {
  /** Those that look at what this tool brings. Of what comes without a tool, also any that looks at one of the server's tools. */
  of(snapshot: Snapshot, tool: RegisteredTool, environment: string): DetectorManifest[];
  look(detectors: readonly DetectorManifest[], at: LookedAt): Promise<Raised>;
}

interface Answered {
  detector: DetectorManifest;
  findings: OutsideFinding[];
  /** Why it has not looked at all of it: words of ours, since the agent hears them. */
  failed: string | null;
}

const severities: readonly (Severity | 'never')[] = ['low', 'medium', 'high', 'never'];
const reaches = (severity: Severity, from: Severity | 'never') =>
  severities.indexOf(severity) >= severities.indexOf(from);

/**
 * Asks services of the operator about results. INVARIANT: an answer, whatever it says, and no answer can only raise: labels are added, pieces
 * masked, a person asked. They see what the agent would see, so that nothing that is masked leaves.
 */
export function createOutsideDetectors({
  outbound,
  openSecret,
  log,
}: {
  outbound: Pick<Outbound, 'fetchJson'>;
  openSecret(name: string, destination: string): Promise<Secret>;
  log: Log;
}): OutsideDetectors {
  const turns = createTurns();

  async function ask(detector: DetectorManifest, request: Json, texts: readonly string[]): Promise<Answered> {
    try {
      const findings = await turns.take(detector.name, detector.timeoutMs, async () => {
        const secret = detector.secret === undefined ? undefined : await openSecret(detector.secret, detector.url);
        const { json } = await outbound.fetchJson(detector.url, {
          method: 'POST',
          body: JSON.stringify(request),
          headers: {
            'content-type': 'application/json',
            ...(secret && { authorization: `Bearer ${secret.reveal()}` }),
          },
          allowPrivateAddress: detector.allowPrivateAddress,
          ...(detector.ca !== undefined && { ca: detector.ca }),
          timeoutMs: detector.timeoutMs,
          maxBytes: resultLimits.detectorAnswerBytes,
        });
        return readAnswer(json, texts);
      });
      if (typeof findings !== 'string') return { detector, findings, failed: null };
      log.warn('a detector has not looked at a result', { detector: detector.name, problem: findings });
      return { detector, findings: [], failed: SENSELESS };
    } catch (error) {
      log.warn('a detector has not looked at a result', { detector: detector.name, error });
      return { detector, findings: [], failed: whyFailed(error) };
    }
  }

  return {
    of({ detectors, servers }, tool, environment) {
      if (detectors.size === 0) return [];
      const others = tool.name.startsWith('#') ? (servers.get(tool.server)?.tools.values() ?? []) : [];
      const concerned = [tool, ...others];
      return [...detectors.values()].filter(
        (detector) => detector.environments.includes(environment) && concerned.some((each) => looksAt(detector, each)),
      );
    },

    async look(detectors, { tool, environment, operation, direction, body, mask, placeholder }) {
      const { texts, isWhole } = textsOf(body);
      const { ref, server } = tool;
      const request = { version: 1, server, tool: ref, environment, operation, direction, complete: isWhole, texts };
      const answers = await Promise.all(detectors.map((detector) => ask(detector, request, texts)));
      return raise(tool, body, answers, isWhole, { mask, placeholder });
    },
  };
}

function looksAt({ tools, effects, domains }: DetectorManifest, { ref, effects: of, labels }: RegisteredTool): boolean {
  if (tools && !tools.some((pattern) => toolPatternMatches(pattern, ref))) return false;
  if (effects && of.length > 0 && !of.some((effect) => effects.includes(effect))) return false;
  return !domains || labels.domain === null || domains.includes(labels.domain);
}

const SENSELESS = 'its answer makes no sense';

/** What went wrong says where the detector is, which is for the log only. */
function whyFailed(error: unknown): string {
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { name?: string } };
  if (code === 'outbound.not-json' || code === 'outbound.too-large') return SENSELESS;
  return name === 'TimeoutError' || cause?.name === 'TimeoutError' ? 'it did not answer in time' : 'it did not answer';
}

/** The texts of a result, as many and as long as a detector is sent. */
function textsOf(body: Json): { texts: string[]; isWhole: boolean } {
  const texts: string[] = [];
  let left = resultLimits.detectorChars;
  let isWhole = true;
  mapTexts(body, (text) => {
    if (texts.length < resultLimits.detectorTexts && left > 0) {
      if (text.length > left) isWhole = false;
      texts.push(text.slice(0, left).toWellFormed());
      left -= text.length;
    } else isWhole = false;
    return text;
  });
  return { texts, isWhole };
}

function raise(
  { ref }: RegisteredTool,
  body: Json,
  answers: readonly Answered[],
  isWhole: boolean,
  { mask, placeholder }: Pick<LookedAt, 'mask' | 'placeholder'>,
): Raised {
  const labels = new Set<string>();
  const sensitive = new Set<string>();
  const spans: (Span & { kind: string })[] = [];
  let isUntrusted = false;
  let hold: string | null = null;
  for (const { detector, findings, failed } of answers) {
    const missed = failed ?? (isWhole ? null : 'it has more text than a detector is sent');
    if (missed !== null) {
      isUntrusted = true;
      labels.add(`not-looked-at:${detector.name}`);
      if (detector.required)
        hold ??= `The detector "${detector.name}" has not looked at the result of ${ref}: ${missed}.`;
    }
    for (const { kind, severity, spans: named } of findings) {
      const meaning = Object.hasOwn(detector.kinds, kind) ? detector.kinds[kind] : undefined;
      labels.add(`detected:${kind}`);
      if (meaning?.sensitive !== undefined) sensitive.add(meaning.sensitive);
      if (!meaning || meaning.untrusted || meaning.sensitive === undefined) isUntrusted = true;
      const isMasked =
        reaches(severity, detector.maskFrom) || (meaning?.sensitive !== undefined && mask.has(meaning.sensitive));
      if (isMasked) for (const span of named) spans.push({ ...span, kind });
      if (reaches(severity, detector.holdFrom))
        hold ??= `The detector "${detector.name}" has found "${kind}" (${severity}) in the result of ${ref}.`;
    }
  }
  return {
    body: spans.length > 0 ? withoutSpans(body, spans, placeholder) : body,
    isUntrusted,
    sensitive: [...sensitive].sort(),
    labels: [...labels].sort(),
    hold: hold?.slice(0, MAX_REASON_CHARS) ?? null,
  };
}

const MAX_REASON_CHARS = 500;

function withoutSpans(body: Json, spans: (Span & { kind: string })[], placeholder: LookedAt['placeholder']): Json {
  const byText = new Map<number, (Span & { kind: string })[]>();
  for (const span of spans) {
    const known = byText.get(span.text);
    if (known) known.push(span);
    else byText.set(span.text, [span]);
  }
  let next = 0;
  return mapTexts(body, (text) => {
    const found = byText.get(next++);
    if (!found) return text;
    const parts: string[] = [];
    let at = 0;
    for (const { kind, from, to } of found.sort((a, b) => a.from - b.from || b.to - a.to)) {
      if (to <= at) continue;
      const start = Math.max(at, from);
      parts.push(text.slice(at, start), placeholder(kind, text.slice(start, to)));
      at = to;
    }
    return [...parts, text.slice(at)].join('').toWellFormed();
  });
}
