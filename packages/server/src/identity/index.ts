export * from './people/index.ts';
export type * from './types.ts';
