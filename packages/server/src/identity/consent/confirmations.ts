import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  type ConfirmationAnswer,
  type ConfirmationNeeded,
  type ConfirmationShown,
  type ConfirmationState,
  type ConfirmationView,
  commandLineHost,
} from '@gatehouse/protocol';
import { type Clock, canonicalJson, digestJson, GatehouseError, type Json, newId } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Storage, Tables } from '../../storage/index.ts';
import type { PasskeyVerification, People, SignedInPerson } from '../people/index.ts';
import { confirmationLimits as limits } from './limits.ts';
import { checkProof } from './proof.ts';

/**
 * Confirmation in the browser of what a session of the command line asks for: a shell may be shared with an agent, so the session alone
 * widens nothing (law 4). A yes is for one session, person, method, path and body, and for exactly what was shown; it is used once.
 */
export interface Confirmations {
  ask(by: SignedInPerson, request: AskedRequest, shown: ConfirmationShown): Promise<ConfirmationNeeded>;
  /** For its person in a browser, and for the session that asked. */
  show(id: string, person: SignedInPerson): Promise<ConfirmationView>;
  /** PublicKeyCredentialRequestOptionsJSON over this confirmation and the digest of what is shown. */
  options(id: string, person: SignedInPerson, digest: string): Promise<Json>;
  confirm(id: string, person: SignedInPerson, answer: ConfirmationAnswer): Promise<{ expiresAt: number }>;
  refuse(id: string, person: SignedInPerson): Promise<void>;
  /** The yes to this very request, not used yet. Throws where there is none. */
  find(id: string, by: SignedInPerson, request: AskedRequest): Promise<Confirmed>;
}

/** The request as it came. `target` is its path with its query. */
export interface AskedRequest {
  method: string;
  target: string;
  body: unknown;
}

export interface Confirmed {
  shown: ConfirmationShown;
  /** Uses it up with what the transaction does. Throws where another request has been quicker. */
  use(transaction: DatabaseTransaction): Promise<void>;
}

export interface ConfirmationDependencies {
  storage: Pick<Storage, 'db' | 'transaction'>;
  people: PasskeyVerification & Pick<People, 'presence'>;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
}

type Row = Tables['confirmations'];

export function createConfirmations(dependencies: ConfirmationDependencies): Confirmations {
  const { storage, people, recordChange, clock, publicUrl } = dependencies;

  /** The row, for its person; a session of the command line sees only its own. */
  async function read(database: Database | DatabaseTransaction, id: string, person: SignedInPerson): Promise<Row> {
    const row = await database
      .selectFrom('confirmations')
      .selectAll()
      .where('id', '=', id)
      .where('person', '=', person.email)
      .where('expires_at', '>', clock.now())
      .executeTakeFirst();
    if (row && (!person.restricted || row.session === person.session)) return row;
    throw unknown();
  }

  /** The session that asked, while it lives: what it asked for ends with it. */
  async function sessionOf(database: Database | DatabaseTransaction, { session, person }: Row) {
    const row = await database
      .selectFrom('people_sessions')
      .select(['user_agent', 'created_at'])
      .where('id_digest', '=', session)
      .where('person', '=', person)
      .where('expires_at', '>', clock.now())
      .executeTakeFirst();
    if (row) return row;
    throw unknown();
  }

  /** What only somebody in a browser answers; the policies say so as well. */
  async function open(id: string, person: SignedInPerson, digest: string): Promise<Row> {
    if (person.restricted)
      throw new GatehouseError('forbidden', 'session.restricted', 'This is confirmed in a browser, and nowhere else.');
    const row = await read(storage.db, id, person);
    requireState(row, 'open');
    if (!isSame(digest, row.digest))
      throw new GatehouseError(
        'conflict',
        'confirmation.changed',
        'This is not what was shown to you. Look at it again, then answer.',
      );
    return row;
  }

  async function move(
    transaction: DatabaseTransaction,
    { id }: Row,
    from: ConfirmationState[],
    to: ConfirmationState,
    more: { expires_at?: number } = {},
  ): Promise<void> {
    const moved = await transaction
      .updateTable('confirmations')
      .set({ state: to, ...more })
      .where('id', '=', id)
      .where('state', 'in', from)
      .where('expires_at', '>', clock.now())
      .returning('id')
      .executeTakeFirst();
    if (!moved) throw answered();
  }

  const record = (transaction: DatabaseTransaction, row: Row, what: string, by: string, words: string[] = []) =>
    recordChange(transaction, {
      operation: `confirmation.${what}`,
      by,
      changes: [
        shownOf(row).request.slice(0, 400),
        ...words,
        `confirmation ${row.id} of session ${row.session.slice(0, 12)}`,
        `digest ${row.digest}`,
      ],
    });

  return {
    async ask(by, request, shown) {
      if (shown.changesWhoGetsIn) requirePasskey(await people.presence(by));
      if (Buffer.byteLength(canonicalJson(shown)) > limits.shownBytes)
        throw new GatehouseError(
          'too-large',
          'confirmation.too-large',
          'This is more than anybody reads through before a yes. Do it in parts, or on the host of the server.',
        );
      const now = clock.now();
      const salt = randomBytes(32).toString('base64url');
      const head = { id: newId('cfm', now), salt, session: by.session, person: by.email };
      const row: Row = {
        ...head,
        digest: digestOf(head, request, shown),
        shown: JSON.stringify(shown),
        state: 'open',
        created_at: now,
        expires_at: now + limits.openMs,
      };
      await storage.transaction(async (transaction) => {
        await transaction.deleteFrom('confirmations').where('expires_at', '<=', now).execute();
        const { count } = await transaction
          .selectFrom('confirmations')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('session', '=', by.session)
          .where('created_at', '>', now - limits.openMs)
          .executeTakeFirstOrThrow();
        if (Number(count) >= limits.askedPerSession)
          throw new GatehouseError(
            'too-many',
            'confirmation.too-many',
            `This session has asked for ${limits.askedPerSession} confirmations in ${limits.openMs / 60_000} minutes. Wait, or do it in the console.`,
          );
        await transaction.insertInto('confirmations').values(row).execute();
        await record(transaction, row, 'ask', `person:${by.email}`);
      });
      return { id: row.id, url: `${publicUrl}/confirm/${row.id}`, expiresAt: row.expires_at };
    },

    async show(id, person) {
      const row = await read(storage.db, id, person);
      const session = await sessionOf(storage.db, row);
      const { email, displayName, roles } = person;
      return {
        id,
        state: row.state as ConfirmationState,
        commandLine: { host: commandLineHost(session.user_agent) ?? null, since: session.created_at },
        person: { email, displayName, roles },
        shown: shownOf(row),
        proof: await people.presence(person),
        digest: row.digest,
        createdAt: row.created_at,
        expiresAt: row.expires_at,
      };
    },

    async options(id, person, digest) {
      await open(id, person, digest);
      return people.assertionOptions(person.email, challengeOf(id, digest));
    },

    async confirm(id, person, { digest, assertion }) {
      const row = await open(id, person, digest);
      const proof = await people.presence(person);
      if (shownOf(row).changesWhoGetsIn) requirePasskey(proof);
      const verified = await checkProof('confirmation', proof, assertion, (given) =>
        people.verifyAssertion(person.email, challengeOf(id, digest), given),
      );
      const expiresAt = clock.now() + limits.confirmedMs;
      await storage.transaction(async (transaction) => {
        if (verified) await people.useAssertion(transaction, verified);
        await sessionOf(transaction, row);
        await move(transaction, row, ['open'], 'confirmed', { expires_at: expiresAt });
        const how = proof.by === 'passkey' ? `with passkey ${verified?.passkey}` : `signed in with ${proof.provider}`;
        await record(transaction, row, 'confirm', `person:${person.email}`, [how]);
      });
      return { expiresAt };
    },

    async refuse(id, person) {
      await storage.transaction(async (transaction) => {
        const row = await read(transaction, id, person);
        await move(transaction, row, ['open', 'confirmed'], 'refused');
        const words = person.restricted ? ['withdrawn by the command line'] : [];
        await record(transaction, row, 'refuse', `person:${person.email}`, words);
      });
    },

    async find(id, by, request) {
      const row = await read(storage.db, id, by);
      if (!isSame(digestOf(row, request, shownOf(row)), row.digest))
        throw new GatehouseError(
          'forbidden',
          'confirmation.other-request',
          'What was confirmed is another request than this one. Send this one without a confirmation to ask for its own.',
        );
      requireState(row, 'confirmed');
      return {
        shown: shownOf(row),
        async use(transaction) {
          await move(transaction, row, ['confirmed'], 'used');
          await record(transaction, row, 'use', `person:${by.email}`);
        },
      };
    },
  };
}

const shownOf = ({ shown }: Row): ConfirmationShown => JSON.parse(shown) as ConfirmationShown;

function digestOf(
  { id, salt, session, person }: Pick<Row, 'id' | 'salt' | 'session' | 'person'>,
  { method, target, body }: AskedRequest,
  shown: ConfirmationShown,
): string {
  const bodyDigest = digestJson({ salt, body });
  // As it is stored: members without a value are gone.
  const stored = JSON.parse(JSON.stringify(shown)) as Json;
  return digestJson({ v: 1, id, salt, session, person, method, target, body: bodyDigest, shown: stored });
}

/** What the passkey signs. */
export function challengeOf(id: string, digest: string): Uint8Array {
  return createHash('sha256')
    .update(canonicalJson({ v: 1, confirmation: id, digest }))
    .digest();
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function requirePasskey(proof: { by: 'passkey' | 'provider' }): void {
  if (proof.by === 'passkey') return;
  throw new GatehouseError(
    'forbidden',
    'session.restricted',
    'This changes who gets in, which a session of the command line may ask for only where its person confirms with a passkey. Enrol one in the console, do it there in a browser, or apply it on the server’s host.',
  );
}

function requireState({ state }: Row, wanted: 'open' | 'confirmed'): void {
  if (state === wanted) return;
  if (state !== 'open') throw answered(state);
  throw new GatehouseError(
    'conflict',
    'confirmation.waiting',
    'Nobody has confirmed this yet. Open its address in a browser, then send the request again.',
  );
}

function answered(state?: string): GatehouseError {
  const words: Record<string, string> = {
    confirmed: 'This has been confirmed already: send the request again.',
    refused: 'This was refused by its person, or withdrawn.',
    used: 'This confirmation was used already: each is good for one request. Send the request without it to ask again.',
  };
  return new GatehouseError(
    'conflict',
    `confirmation.${state ?? 'answered'}`,
    words[state ?? ''] ?? 'This has been answered or used meanwhile. Send the request without it to ask again.',
  );
}

function unknown(): GatehouseError {
  return new GatehouseError(
    'not-found',
    'confirmation.unknown',
    'There is no such confirmation of this person and session, or its time is over. Send the request without it to ask again.',
  );
}
