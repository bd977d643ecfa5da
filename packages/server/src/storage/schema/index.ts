import type { CredentialsTables } from './credentials.ts';
import type { ExportTables } from './export.ts';
import type { PeopleTables } from './people.ts';
import type { PolicyTables } from './policy.ts';
import type { RecordTables } from './record.ts';
import type { RegistryTables } from './registry.ts';

export { type SigningKeyPurpose, signingKeyPurposes } from './credentials.ts';

/**
 * Every stored table. One schema for both dialects: `text`, `bigint` (read as number), `bytea`/`blob` (read as Uint8Array);
 * JSON is canonical text. All times are milliseconds since the epoch.
 */
export interface Tables
  extends RegistryTables,
    PeopleTables,
    PolicyTables,
    RecordTables,
    ExportTables,
    CredentialsTables {}
