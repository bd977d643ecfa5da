/** One thing that is tried, by a name of `--only`, and a section of RESULTS.md. */
export interface Part {
  heading: string;
  /** With the options of the command that are this part's own, as text. */
  run(options: { data?: string; runs?: string; seed?: string; suite?: string }): Promise<PartResult>;
}

export interface PartResult {
  /** Of what was run. */
  versions: string;
  /** Markdown below the heading. */
  text: string;
  /** What was lost or failed; empty: all is well. */
  failing: string[];
  /** For `--json`. */
  rows: unknown;
}
