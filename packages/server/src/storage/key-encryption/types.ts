/** Where a key-encryption key comes from. One file per kind; `suite.ts` is what each kind must pass. */
export type KeySource = LocalKeySource | RemoteKeySource;

/** Gives the key itself. */
export interface LocalKeySource {
  kind: 'local';
  /** As configured, without anything secret: shown in lists, errors and the record. */
  name: string;
  /** 32 bytes. Throws `key-encryption.*` GatehouseErrors that name the source, and never what came out of it. */
  read(): Promise<Uint8Array>;
}

/** Never gives its key away: it wraps ours, which is kept wrapped in the database and unwrapped at every start. */
export interface RemoteKeySource {
  kind: 'remote';
  name: string;
  wrap(key: Uint8Array): Promise<string>;
  unwrap(wrapped: string): Promise<Uint8Array>;
}

/** What a source may read besides its specification. Passed in, so that tests own it. */
export interface SourceSurroundings {
  environment: Record<string, string | undefined>;
  dataDir: string;
}
