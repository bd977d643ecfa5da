import type { Database, DatabaseTransaction } from '../../storage/index.ts';

/** Which receivers have not taken a record yet, and still are to. */
export type Unsent = (log: string, sequence: number, at: number) => string[];

/** Of receivers that are declared. Nobody waits for one of which somebody has said that it does without what there was then. */
export async function unsentOf(on: Database | DatabaseTransaction): Promise<Unsent> {
  const sinks = await on
    .selectFrom('objects')
    .leftJoin('sinks', 'sinks.name', 'objects.name')
    .select(['objects.name', 'sinks.let_go_at'])
    .where('objects.kind', '=', 'Sink')
    .orderBy('objects.name')
    .execute();
  if (sinks.length === 0) return () => [];
  const places = new Map<string, number>();
  for (const { sink, log, sequence } of await on
    .selectFrom('sink_positions')
    .select(['sink', 'log', 'sequence'])
    .execute())
    places.set(`${sink} ${log}`, Number(sequence));
  return (log, sequence, at) =>
    sinks.flatMap(({ name, let_go_at }) =>
      (let_go_at !== null && at < Number(let_go_at)) || (places.get(`${name} ${log}`) ?? 0) > sequence ? [] : [name],
    );
}
