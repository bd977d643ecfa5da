import type { Check } from '../check.ts';
import { attributed, closed, decided, separated as environmentsSeparated } from './actions.ts';
import { byOthers, considered, given, signed } from './approvals.ts';
import { departed, killed, owned, ownKeys, passkeys, separated, sessionsEnd } from './identities.ts';
import { anomalies, backups, keys, secrets, transport } from './operations.ts';
import { arriving, emergencies } from './oversight.ts';
import { budgets, definitions, labelled, leastPrivilege, recorded, secondPerson } from './policies.ts';
import { intact, kept } from './record.ts';

const all: Check[] = [
  ...[attributed, decided, closed, environmentsSeparated],
  ...[given, signed, byOthers, considered],
  ...[owned, ownKeys, passkeys, sessionsEnd, separated, departed, killed],
  ...[secondPerson, recorded, definitions, leastPrivilege, labelled, budgets],
  ...[intact, kept, secrets, keys, backups, transport, anomalies],
  ...[emergencies, arriving],
];

export const checks: ReadonlyMap<string, Check> = new Map(all.map((check) => [check.id, check]));
