export { createExport, type Export, type ExportDependencies } from './export.ts';
