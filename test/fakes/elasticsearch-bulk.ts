import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

/**
 * A fake of Elasticsearch's `_bulk`, from Elastic's published description: `create` only, as a data stream takes it; a document without
 * `@timestamp` is refused, one that is there already is a conflict, and `refuses` says of others why their mapping does not take them.
 */
export function createElasticsearch({
  apiKey,
  refuses = () => undefined,
}: {
  apiKey: string;
  refuses?: (document: Record<string, unknown>) => string | undefined;
}) {
  const documents = new Map<string, Record<string, unknown>>();
  return {
    documents,
    /** Documents that come when it is above zero are answered with 429 each. */
    busy: 0,
    handle(
      { url, headers, body }: { url: string; headers: IncomingHttpHeaders; body: Buffer },
      answer: ServerResponse,
    ) {
      const say = (status: number, json: object) =>
        answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
      if (headers.authorization !== `ApiKey ${apiKey}`)
        return say(401, { error: { type: 'security_exception', reason: 'unable to authenticate' }, status: 401 });
      if (!url.startsWith('/_bulk') || headers['content-type'] !== 'application/x-ndjson')
        return say(400, { status: 400 });
      const text = body.toString();
      if (!text.endsWith('\n'))
        return say(400, { error: { reason: 'The bulk request must be terminated by a newline [\\n]' }, status: 400 });
      const lines = text.slice(0, -1).split('\n');
      const items = [];
      for (let at = 0; at < lines.length; at += 2) {
        const { create } = JSON.parse(lines[at] as string) as { create: { _index: string; _id: string } };
        const document = JSON.parse(lines[at + 1] as string) as Record<string, unknown>;
        items.push({ create: this.take(create, document) });
      }
      return say(200, { errors: items.some(({ create }) => create.status >= 300), items });
    },
    take({ _id }: { _id: string }, document: Record<string, unknown>): { status: number; error?: object } {
      if (this.busy > 0) {
        this.busy--;
        return { status: 429, error: { type: 'es_rejected_execution_exception', reason: 'rejected execution' } };
      }
      if (documents.has(_id))
        return { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'document already exists' } };
      const why = document['@timestamp'] === undefined ? 'data stream timestamp field is missing' : refuses(document);
      if (why !== undefined) return { status: 400, error: { type: 'document_parsing_exception', reason: why } };
      documents.set(_id, document);
      return { status: 201 };
    },
  };
}
