/** What a backup says of itself, in front of everything else in the file. Times are milliseconds since the epoch. */
export interface BackupManifest {
  /** Of this format. */
  format: 1;
  /** Of the Gatehouse that made it. */
  version: string;
  createdAt: number;
  dialect: 'sqlite' | 'postgres';
  /** Name of the last migration: an older Gatehouse cannot read the database. */
  schema: string;
  /** As the running server said it; null when none was asked. */
  trustDomain: string | null;
  logs: BackedUpLog[];
  /** Key-encryption keys by id: one that is current or retiring has to be there to restore. `wrapped` tells nothing without its service. */
  keyEncryption: BackedUpKey[];
  /** In the order in which they follow. */
  parts: { name: PartName; size: number; sha256: string }[];
}

export type PartName = 'database' | 'keys';

export interface BackedUpLog {
  id: string;
  replica: string;
  vkey: string;
  size: number;
  /** The newest signed one, a C2SP signed note. */
  checkpoint: string | null;
}

export interface BackedUpKey {
  id: string;
  source: string;
  wrapped: string | null;
  state: string;
  createdAt: number;
}

/** Told while something takes long, for people. */
export type Progress = (what: string) => void;
