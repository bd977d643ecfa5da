export { traceTask } from './trace.ts';
