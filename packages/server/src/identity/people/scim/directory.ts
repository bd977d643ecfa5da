import { randomUUID } from 'node:crypto';
import { type Clock, canonicalJson, type Json } from '../../../platform/index.ts';
import type { PersonChanges, Snapshot } from '../../../registry/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Storage, Tables } from '../../../storage/index.ts';
import { knownAddress } from '../known-address.ts';
import { listed, type Page } from './list.ts';
import { factsOf, patched, type Resource, readGroup, readUser, scimError } from './resources.ts';

export interface DirectoryDependencies {
  storage: Storage;
  registry: { snapshot(): Pick<Snapshot, 'directory'>; refresh(changes: []): Promise<void> } & PersonChanges;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
  /** Ends what somebody has here; called after their departure is stored, and again until it went through. */
  offboard(email: string, how: { by: string; reason?: string }): Promise<unknown>;
}

export type Directory = ReturnType<typeof createDirectory>;

/** What a company's directory says, and what follows from it for the people here (RFC 7643, RFC 7644). */
export function createDirectory(deps: DirectoryDependencies) {
  const { storage, registry, recordChange, clock, publicUrl } = deps;

  const factsHere = (user: Resource) => {
    const facts = factsOf(user);
    return { ...facts, email: knownAddress(registry.snapshot().directory, facts.email) };
  };

  /** Stores what follows from a user for the person of that address. Gives those who are to be offboarded after the commit. */
  async function follow(
    transaction: DatabaseTransaction,
    id: string,
    user: Resource,
    by: string,
  ): Promise<{ left: string[] }> {
    const { email, displayName, active, manager } = factsHere(user);
    const groups = await transaction
      .selectFrom('scim_members')
      .innerJoin('scim_groups', 'scim_groups.id', 'scim_members.group_id')
      .select('display_name')
      .where('user_id', '=', id)
      .orderBy('display_name')
      .execute();
    const above =
      manager === null
        ? undefined
        : await transaction.selectFrom('scim_users').select('email').where('id', '=', manager).executeTakeFirst();
    await registry.provisionPerson(
      transaction,
      email,
      {
        by: 'scim',
        id,
        displayName,
        groups: groups.map(({ display_name }) => display_name),
        roles: [],
        successor: above?.email ?? null,
      },
      by,
    );
    if (active) {
      await registry.reinstatePerson(transaction, email, by);
      return { left: [] };
    }
    const successor = registry.snapshot().directory.get(email)?.successor ?? above?.email ?? null;
    await registry.departPerson(transaction, email, { by, successor, reason: 'deactivated in the directory' });
    return { left: [email] };
  }

  async function settle(left: string[], by: string): Promise<void> {
    await registry.refresh([]);
    for (const email of left) await deps.offboard(email, { by, reason: 'deactivated in the directory' });
  }

  const rowOf = (user: Resource) => {
    const { userName, email, externalId, active } = factsHere(user);
    const body = canonicalJson(user as Json);
    return { user_name: userName.toLowerCase(), email, external_id: externalId, active: active ? 1 : 0, body };
  };

  async function requireFree(
    transaction: DatabaseTransaction,
    row: { user_name: string; email: string },
    id: string,
  ): Promise<void> {
    const other = await transaction
      .selectFrom('scim_users')
      .select('id')
      .where((where) => where.or([where('user_name', '=', row.user_name), where('email', '=', row.email)]))
      .where('id', '!=', id)
      .executeTakeFirst();
    if (other) throw scimError(409, 'uniqueness', 'Another user has this userName or address.');
  }

  const findUser = async (db: Database | DatabaseTransaction, id: string) => {
    const row = await db.selectFrom('scim_users').selectAll().where('id', '=', id).executeTakeFirst();
    if (row) return row;
    throw scimError(404, '', 'There is no such user.');
  };
  const findGroup = async (db: Database | DatabaseTransaction, id: string) => {
    const row = await db.selectFrom('scim_groups').selectAll().where('id', '=', id).executeTakeFirst();
    if (row) return row;
    throw scimError(404, '', 'There is no such group.');
  };

  const meta = (
    kind: 'User' | 'Group',
    row: { id: string; version: number; created_at: number; updated_at: number },
  ) => ({
    resourceType: kind,
    created: new Date(row.created_at).toISOString(),
    lastModified: new Date(row.updated_at).toISOString(),
    location: `${publicUrl}/scim/v2/${kind}s/${row.id}`,
    version: `W/"${row.version}"`,
  });

  const userView = (row: Tables['scim_users']): Resource => ({
    ...(JSON.parse(row.body) as Resource),
    id: row.id,
    active: row.active === 1,
    meta: meta('User', row),
  });

  async function groupViews(db: Database | DatabaseTransaction, rows: Tables['scim_groups'][]): Promise<Resource[]> {
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    const all = await db
      .selectFrom('scim_members')
      .selectAll()
      .where('group_id', 'in', ids)
      .orderBy('user_id')
      .execute();
    const members = Map.groupBy(all, ({ group_id }) => group_id);
    return rows.map((row) => ({
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      id: row.id,
      displayName: row.display_name,
      ...(row.external_id !== null && { externalId: row.external_id }),
      members: (members.get(row.id) ?? []).map(({ user_id: value }) => ({
        value,
        type: 'User',
        $ref: `${publicUrl}/scim/v2/Users/${value}`,
      })),
      meta: meta('Group', row),
    }));
  }
  const groupView = async (db: Database | DatabaseTransaction, row: Tables['scim_groups']) =>
    (await groupViews(db, [row]))[0] as Resource;

  async function changeUser(
    id: string,
    by: string,
    version: string | undefined,
    work: (now: Resource) => Promise<Resource>,
  ) {
    const { row, left } = await storage.transaction(async (transaction) => {
      const before = await findUser(transaction, id);
      requireVersion(before.version, version);
      const after = rowOf(await work(userView(before)));
      await requireFree(transaction, after, id);
      const gone: string[] = [];
      const row = { ...before, ...after, version: before.version + 1, updated_at: clock.now() };
      const { id: _id, ...columns } = row;
      await transaction.updateTable('scim_users').set(columns).where('id', '=', id).execute();
      const { left } = await follow(transaction, id, JSON.parse(after.body) as Resource, by);
      if (after.email !== before.email) {
        // Another address is another person here: what hangs on the old one does not move by itself.
        await registry.unprovisionPerson(transaction, before.email, by);
        await registry.departPerson(transaction, before.email, {
          by,
          successor: null,
          reason: 'address changed in the directory',
        });
        gone.push(before.email);
      }
      return { row, left: [...gone, ...left] };
    });
    await settle(left, by);
    return userView(row);
  }

  /** Who is in, and what follows for everybody whose membership changed. */
  async function setMembers(
    transaction: DatabaseTransaction,
    group: string,
    members: string[],
    by: string,
    all: boolean,
  ) {
    const known = await transaction
      .selectFrom('scim_members')
      .select('user_id')
      .where('group_id', '=', group)
      .execute();
    const before = new Set(known.map(({ user_id }) => user_id));
    const after = new Set(members);
    // Who comes in before who goes out: a role that is handed on is never nobody's.
    const differ = [...new Set([...after, ...before])].filter((id) => all || before.has(id) !== after.has(id));
    await transaction.deleteFrom('scim_members').where('group_id', '=', group).execute();
    for (const user of after) {
      await findUser(transaction, user).catch(() => {
        throw scimError(400, 'invalidValue', `There is no user ${user} to be a member.`);
      });
      await transaction.insertInto('scim_members').values({ group_id: group, user_id: user }).execute();
    }
    for (const id of differ) {
      const row = await transaction.selectFrom('scim_users').selectAll().where('id', '=', id).executeTakeFirst();
      if (row) await follow(transaction, id, userView(row), by);
    }
  }

  const membersOf = (group: Resource) => [
    ...new Set(
      ((group.members ?? []) as { value?: string }[]).flatMap(({ value }) => (value === undefined ? [] : [value])),
    ),
  ];

  /** `work` gets the group as it is in the transaction that writes it: of two changes at once neither brings back whom the other took out. */
  async function writeGroup(
    id: string,
    by: string,
    change: { isNew: true } | { isNew: false; version: string | undefined },
    work: (now: Resource) => Promise<Resource>,
  ): Promise<Resource> {
    const now = clock.now();
    const view = await storage.transaction(async (transaction) => {
      const before = change.isNew ? undefined : await findGroup(transaction, id);
      if (before && !change.isNew) requireVersion(before.version, change.version);
      const group = await work(before ? await groupView(transaction, before) : {});
      const display_name = String(group.displayName ?? '').slice(0, 200);
      const external_id = typeof group.externalId === 'string' ? group.externalId : null;
      const other = await transaction
        .selectFrom('scim_groups')
        .select('id')
        .where('display_name', '=', display_name)
        .where('id', '!=', id)
        .executeTakeFirst();
      if (other) throw scimError(409, 'uniqueness', 'Another group has this displayName.');
      const row = {
        id,
        display_name,
        external_id,
        version: (before?.version ?? 0) + 1,
        created_at: before?.created_at ?? now,
        updated_at: now,
      };
      const { id: _id, ...columns } = row;
      if (before) await transaction.updateTable('scim_groups').set(columns).where('id', '=', id).execute();
      else await transaction.insertInto('scim_groups').values(row).execute();
      await setMembers(
        transaction,
        id,
        membersOf(group),
        by,
        before !== undefined && before.display_name !== display_name,
      );
      await recordChange(transaction, {
        operation: before ? 'scim-group.change' : 'scim-group.create',
        by,
        changes: [`group "${display_name}": ${membersOf(group).length} members`],
      });
      return groupView(transaction, row);
    });
    await registry.refresh([]);
    return view;
  }

  return {
    users: {
      async create(body: unknown, by: string): Promise<Resource> {
        const user = readUser(body);
        const id = randomUUID();
        const now = clock.now();
        const { row, left } = await storage.transaction(async (transaction) => {
          const row = { id, ...rowOf(user), version: 1, created_at: now, updated_at: now };
          await requireFree(transaction, row, id);
          await transaction.insertInto('scim_users').values(row).execute();
          return { row, ...(await follow(transaction, id, user, by)) };
        });
        await settle(left, by);
        return userView(row);
      },
      get: async (id: string) => userView(await findUser(storage.db, id)),
      replace: (id: string, body: unknown, by: string, version?: string) =>
        changeUser(id, by, version, async () => readUser(body)),
      patch: (id: string, body: unknown, by: string, version?: string) =>
        changeUser(id, by, version, (now) => patched('User', now, body)),
      async remove(id: string, by: string, wanted?: string): Promise<void> {
        const email = await storage.transaction(async (transaction) => {
          const { email, version } = await findUser(transaction, id);
          requireVersion(version, wanted);
          await transaction.deleteFrom('scim_members').where('user_id', '=', id).execute();
          await transaction.deleteFrom('scim_users').where('id', '=', id).execute();
          const successor = registry.snapshot().directory.get(email)?.successor ?? null;
          await registry.departPerson(transaction, email, { by, successor, reason: 'deleted in the directory' });
          await registry.unprovisionPerson(transaction, email, by);
          return email;
        });
        await settle([email], by);
      },
      list: (page: Page) =>
        listed(
          storage.db,
          {
            table: 'scim_users',
            columns: {
              id: { column: 'id' },
              userName: { column: 'user_name', fold: true },
              externalId: { column: 'external_id' },
            },
            views: (rows) => rows.map(userView),
          },
          page,
        ),
    },
    groups: {
      create: (body: unknown, by: string) => writeGroup(randomUUID(), by, { isNew: true }, async () => readGroup(body)),
      get: async (id: string) => groupView(storage.db, await findGroup(storage.db, id)),
      replace: (id: string, body: unknown, by: string, version?: string) =>
        writeGroup(id, by, { isNew: false, version }, async () => readGroup(body)),
      patch: (id: string, body: unknown, by: string, version?: string) =>
        writeGroup(id, by, { isNew: false, version }, (now) => patched('Group', now, body)),
      async remove(id: string, by: string, wanted?: string): Promise<void> {
        await storage.transaction(async (transaction) => {
          const { display_name, version } = await findGroup(transaction, id);
          requireVersion(version, wanted);
          await setMembers(transaction, id, [], by, false);
          await transaction.deleteFrom('scim_groups').where('id', '=', id).execute();
          await recordChange(transaction, { operation: 'scim-group.delete', by, changes: [`group "${display_name}"`] });
        });
        await registry.refresh([]);
      },
      list: (page: Page) =>
        listed(
          storage.db,
          {
            table: 'scim_groups',
            columns: { id: { column: 'id' }, externalId: { column: 'external_id' } },
            views: (rows) => groupViews(storage.db, rows),
          },
          page,
        ),
    },
  };
}

/** RFC 7644 §3.14. */
export function requireVersion(current: number, wanted: string | undefined): void {
  if (wanted === undefined || wanted === '*' || wanted === `W/"${current}"`) return;
  throw scimError(412, '', 'The resource has changed since. Read it again.');
}
