import type { CredentialProviderManifest } from '@gatehouse/protocol';
import type { Secret } from '../../platform/index.ts';
import type { Provider } from '../leases/types.ts';
import { openPostgresProvider } from './postgres.ts';

export interface ProviderTools {
  openSecret(name: string, destination: string): Promise<Secret>;
}

/** One file for each kind. A kind is listed here once it issues, narrows, is used, is ended and verified to be gone, and survives a crash. */
export function openProvider({ from }: CredentialProviderManifest, tools: ProviderTools): Provider {
  switch (from.type) {
    case 'postgres':
      return openPostgresProvider(from, () => tools.openSecret(from.secret, from.url));
  }
}
