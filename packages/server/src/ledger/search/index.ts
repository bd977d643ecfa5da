export { searchLimits } from './limits.ts';
export { createSearch, type Search } from './search.ts';
export { type QueryTerms, READ_OPERATION, termsOf, termsOfQuery, textProblem } from './terms.ts';
