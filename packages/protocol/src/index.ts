export * from './api.ts';
export * from './approvals.ts';
export * from './manifests.ts';
export * from './names.ts';
export * from './records.ts';
export * from './tasks.ts';
export * from './trust-domain.ts';
export * from './upstream-authorization.ts';
