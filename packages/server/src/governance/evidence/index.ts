export { type EvidenceDependencies, makeEvidence } from './report.ts';
