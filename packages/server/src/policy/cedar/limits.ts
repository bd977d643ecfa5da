export const policyLimits = {
  /** Brackets within each other in the text of a policy. The official parser has a small stack of its own. */
  nestedBrackets: 100,
  /** Conditionals (`if`) in one policy, for the same reason. */
  conditionals: 250,
  /** Operators in a row (`a && b && …`, `1 + 2 + …`, `a.b.c…`) in the text of a policy, for the same reason. What is left is counted exactly, below. */
  chainedOperators: 1_500,
  /** Operators within each other in one expression: `a && b && c` are two. */
  expressionDepth: 500,
  /** Of the decisions on one tool by one kind of task the first, tenth, hundredth… are compared with the official engine, and one of so many. */
  comparedEvery: 10_000,
  /** Conditions of several policies that are the same are compiled once, up to this length as JSON. */
  sharedConditionChars: 4_096,
  /** Characters of policies whose parsed form is kept for the next change. */
  parsedChars: 4_000_000,
  /** Answers of one rule that are kept, each for another combination of policies that apply. */
  answersKept: 64,
  /** Conditions and tools that the text of a refusal lists; it says that there are more. */
  listedInRefusals: 12,
  /** Problems that the answer to a refused apply lists; it says how many there are. */
  listedProblems: 100,
};
