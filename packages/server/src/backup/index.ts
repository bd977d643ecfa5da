export { Secret } from '../platform/index.ts';
export { type BackupOptions, backUp } from './backup.ts';
export { type Restored, type RestoreOptions, restore } from './restore.ts';
export type { BackupManifest } from './types.ts';
