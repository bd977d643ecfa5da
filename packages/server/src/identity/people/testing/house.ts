import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ActionRecord, manifest, type Role } from '@gatehouse/protocol';
import {
  type CreationOptions,
  createSoftwarePasskey,
  type RequestOptions,
  type SoftwarePasskey,
  type SoftwarePasskeyOptions,
} from '../../../../../sdk/src/software-passkey.ts';
import { openLedger } from '../../../ledger/index.ts';
import { createLog } from '../../../platform/index.ts';
import { createRegistry, type RegistryDependencies } from '../../../registry/index.ts';
import { createSealer, openStorage } from '../../../storage/index.ts';
import { createPeople } from '../people.ts';
import type { NewSession, SignedInPerson } from '../types.ts';

export const ORIGIN = 'http://localhost:4100';

export interface HouseOptions {
  database?: string;
  /** Of an earlier house, to open the same one again. */
  dataDir?: string;
  replica?: string;
  publicUrl?: string;
  validate?: RegistryDependencies['validate'];
  handedOn?: RegistryDependencies['handedOn'];
}

/** A small house for tests: real storage, ledger and people; the clock moves only when it is told to. */
export async function openHouse(options: HouseOptions = {}) {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'gatehouse-people-'));
  const publicUrl = options.publicUrl ?? ORIGIN;
  let now = Date.now();
  const clock = { now: () => now };
  const log = createLog('error', () => {});
  const storage = await openStorage({ database: options.database ?? 'sqlite', dataDir, log, clock });
  const sealer = createSealer(Buffer.alloc(32, 7));
  const replica = options.replica ?? `replica-${randomBytes(4).toString('hex')}`;
  const ledger = await openLedger({ storage, sealer, clock, log, replica, origin: new URL(publicUrl).host });
  const { recordChange } = ledger;
  const registry = await createRegistry({
    storage,
    clock,
    trustDomain: 'example.test',
    recordChange,
    log,
    ...(options.validate && { validate: options.validate }),
    ...(options.handedOn && { handedOn: options.handedOn }),
  });
  const people = createPeople({ storage, sealer, registry, recordChange, clock, log, publicUrl });

  return {
    storage,
    sealer,
    ledger,
    registry,
    recordChange,
    people,
    clock,
    log,
    dataDir,
    publicUrl,
    pass(ms: number) {
      now += ms;
    },
    async declare(email: string, ...roles: Role[]) {
      const person = manifest.parse({ kind: 'Person', email, displayName: email, roles });
      await registry.apply([person], { prune: false, by: 'gatehouse' });
    },
    async undeclare(email: string) {
      const others = (await registry.exportManifests()).filter(
        (each) => each.kind !== 'Person' || each.email !== email,
      );
      await registry.apply(others, { prune: true, by: 'gatehouse' });
    },
    /** All records of this log, oldest first. */
    async records(operation?: string): Promise<ActionRecord[]> {
      const rows = await storage.db.selectFrom('records').select('entry').orderBy('at').orderBy('sequence').execute();
      return rows
        .map(({ entry }) => JSON.parse(entry) as ActionRecord)
        .filter((record) => operation === undefined || record.operation === operation);
    },
    async openLink(token: string): Promise<NewSession> {
      const redeemed = await people.redeemSigninLink(token, { userAgent: 'test' });
      if (redeemed.next === 'enrol') return redeemed.session;
      throw new Error(`${redeemed.person} has a passkey already`);
    },
    /** First sign-in as a person does it: link, session, passkey. */
    async enrol(email: string, passkeyOptions?: SoftwarePasskeyOptions) {
      const opened = await this.openLink((await people.createSigninLink(email, { by: 'gatehouse' })).token);
      const passkey = createSoftwarePasskey(passkeyOptions);
      const { session } = await this.addPasskey(opened.person, passkey);
      return { passkey, person: session.person, cookie: cookieOf(session) };
    },
    async addPasskey(person: SignedInPerson, passkey: SoftwarePasskey, name?: string) {
      const options = await people.enrolmentOptions(person);
      const attestation = passkey.register(options as unknown as CreationOptions, ORIGIN);
      return people.enrol(person, { ...attestation }, { name });
    },
    async signIn(passkey: SoftwarePasskey, cookie?: string) {
      const options = await people.signInOptions();
      const assertion = passkey.assert(options as unknown as RequestOptions, ORIGIN);
      return people.signIn({ ...assertion }, { userAgent: 'test', cookie });
    },
    /** `keep` leaves the data for the next house. */
    async close({ keep = false } = {}) {
      await ledger.close();
      await storage.close();
      if (!keep) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export type House = Awaited<ReturnType<typeof openHouse>>;

/** The `Cookie` header that a browser would send after this `Set-Cookie`. */
export function cookieOf(session: { setCookie: string }): string {
  return session.setCookie.split(';')[0] ?? '';
}
