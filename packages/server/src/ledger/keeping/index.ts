export { createClockDoubt } from './clock-doubt.ts';
export { createKeeping, type Keeping } from './keeping.ts';
export { createRetention, type Retention } from './retention.ts';
export { scopeWords } from './scope.ts';
