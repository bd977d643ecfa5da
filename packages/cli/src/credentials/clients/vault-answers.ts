import { randomUUID } from 'node:crypto';
import type { LocalAnswer } from '../types.ts';

/** Vault's own forms of answers. */

const nothing = { lease_id: '', renewable: false, lease_duration: 0 };

export const ok = (more: object): LocalAnswer => ({
  status: 200,
  body: {
    ...{ request_id: randomUUID(), ...nothing, data: null, wrap_info: null, warnings: null, auth: null },
    ...more,
  },
});

export const done: LocalAnswer = { status: 204, body: '' };

export const failed = (status: number, ...errors: string[]): LocalAnswer => ({ status, body: { errors } });

/** What a sign-in or a renewal of the token gives: it lives as long as this process. */
export const authOf = (token: string, task: string) => ({
  client_token: token,
  accessor: task,
  policies: ['default'],
  token_policies: ['default'],
  metadata: { task },
  lease_duration: 0,
  renewable: false,
  entity_id: '',
  token_type: 'service',
  orphan: true,
  num_uses: 0,
});

const VERSION = '1.0.0+gatehouse';

export const health = (now: number) => ({
  ...{ initialized: true, sealed: false, standby: false, version: VERSION },
  server_time_utc: Math.floor(now / 1_000),
});

export const sealStatus = {
  ...{ type: 'none', initialized: true, sealed: false, t: 0, n: 0, progress: 0, nonce: '', version: VERSION },
  ...{ build_date: '', migration: false, recovery_seal: false, storage_type: 'none' },
};

export const leader = { ha_enabled: false, is_self: true, leader_address: '', leader_cluster_address: '' };
