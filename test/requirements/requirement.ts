/**
 * Something that Gatehouse promises: a law of the house, or a MUST of a specification that it claims. At least one test cites it with
 * `@proves ID`; requirements.test.ts fails when one is not cited, or a citation names none.
 */
export interface Requirement {
  id: string;
  promise: string;
  /** The law (SECURITY.md) or the section of the specification. */
  source: string;
}
