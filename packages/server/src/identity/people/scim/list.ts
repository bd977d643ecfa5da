import SCIMMY from 'scimmy';
import type { Database, Tables } from '../../../storage/index.ts';
import { refuseCostly } from './expressions.ts';
import { scimLimits as limits } from './limits.ts';
import { type Resource, scimError } from './resources.ts';

export interface Page {
  startIndex: number;
  count: number;
  filter?: string;
}

type Table = 'scim_users' | 'scim_groups' | 'scim_agents';

interface Listed<Name extends Table> {
  table: Name;
  /** Columns that an index serves, by the attribute that they hold. */
  columns: Record<string, { column: string; fold?: boolean }>;
  views(rows: Tables[Name][]): Promise<Resource[]> | Resource[];
}

/**
 * One page, oldest first. What has no filter, or one that an index serves, is counted and cut in the database; any other filter is matched
 * against what is read piece by piece, of which only the page is kept.
 */
export async function listed<Name extends Table>(
  db: Database,
  { table, columns, views }: Listed<Name>,
  { filter, startIndex, count }: Page,
): Promise<{ totalResults: number; startIndex: number; resources: Resource[] }> {
  const wanted = filter?.trim() ? filter : undefined;
  const served = wanted === undefined ? undefined : servedBy(columns, wanted);
  // The tables differ in what is not looked at here.
  const from = () => {
    const query = db.selectFrom(table as 'scim_users');
    return served ? query.where(served.column as 'id', '=', served.value as string) : query;
  };
  const view = async (rows: unknown[]) => views(rows as Tables[Name][]);
  if (wanted === undefined || served) {
    const { total } = await from()
      .select(({ fn }) => fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow();
    const rows =
      count === 0
        ? []
        : await from()
            .selectAll()
            .orderBy('created_at')
            .orderBy('id')
            .offset(startIndex - 1)
            .limit(count)
            .execute();
    return { totalResults: Number(total), startIndex, resources: await view(rows) };
  }

  const matches = matcher(wanted);
  const resources: Resource[] = [];
  let totalResults = 0;
  let seen = 0;
  let last: { created_at: number; id: string } | undefined;
  for (;;) {
    const after = last;
    const rows = await from()
      .selectAll()
      .$if(after !== undefined, (query) =>
        query.where((where) =>
          where.or([
            where('created_at', '>', after?.created_at ?? 0),
            where.and([where('created_at', '=', after?.created_at ?? 0), where('id', '>', after?.id ?? '')]),
          ]),
        ),
      )
      .orderBy('created_at')
      .orderBy('id')
      .limit(limits.readAtOnce)
      .execute();
    for (const resource of matches(await view(rows))) {
      totalResults += 1;
      if (totalResults >= startIndex && resources.length < count) resources.push(resource);
    }
    seen += rows.length;
    last = rows.at(-1);
    if (seen > limits.filtered)
      throw scimError(
        400,
        'tooMany',
        `This filter would be matched against more than ${limits.filtered} resources. Ask by id, externalId or userName, or page without a filter.`,
      );
    if (rows.length < limits.readAtOnce) return { totalResults, startIndex, resources };
  }
}

function servedBy(
  columns: Listed<Table>['columns'],
  filter: string,
): { column: string; value: string | null } | undefined {
  const [, attribute = '', quoted = ''] = /^\s*([a-z]+)\s+eq\s+("(?:[^"\\]|\\.)*")\s*$/i.exec(filter) ?? [];
  const name = Object.keys(columns).find((each) => each.toLowerCase() === attribute.toLowerCase());
  const known = name === undefined ? undefined : columns[name];
  if (!known) return undefined;
  try {
    const value = JSON.parse(quoted) as string;
    // PostgreSQL has no such character in a text: nobody is called that, and nothing equals null.
    if (value.includes('\0')) return { column: known.column, value: null };
    return { column: known.column, value: known.fold ? value.toLowerCase() : value };
  } catch {
    return undefined;
  }
}

function matcher(filter: string): (resources: Resource[]) => Resource[] {
  refuseCostly(filter, 'invalidFilter');
  // The library takes "a[x and y] and (b or c)" for "(a[x] or a[y]) and (b or c)": whom it finds too much, a client might change.
  if (filter.includes('[') && filter.includes('('))
    throw scimError(400, 'invalidFilter', 'A filter has parentheses or brackets, not both. Ask in two requests.');
  // Read leniently it would match nothing, and a client would make a second user.
  if (/\s(eq|ne|co|sw|ew|gt|lt|ge|le|and|or|not)\s*$/i.test(filter))
    throw scimError(400, 'invalidFilter', 'The filter ends where a value should be.');
  try {
    const parsed = new SCIMMY.Types.Filter(filter);
    return (resources) => parsed.match(resources) as Resource[];
  } catch (error) {
    throw scimError(400, 'invalidFilter', error instanceof Error ? error.message : 'The filter cannot be read.');
  }
}
