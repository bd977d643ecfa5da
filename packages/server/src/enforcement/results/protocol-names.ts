/** Where a member stands: in the message itself or a task's state, in a part of it (a block, an annotation), or in what anybody may add. */
export type Place = 'message' | 'part' | 'meta';

/** Names of the protocol that hold one of its own words. Another word there is text, as it says what a server wants. */
const words: Readonly<Record<string, ReadonlySet<string>>> = Object.fromEntries(
  Object.entries({
    type: 'text image audio resource resource_link tool_use tool_result ref/prompt ref/resource',
    role: 'user assistant',
    level: 'debug info notice warning error critical alert emergency',
    status: 'submitted working input_required completed failed cancelled',
    resultType: 'complete input_required task',
    mode: 'form url',
    includeContext: 'none thisServer allServers',
    cacheScope: 'public private',
    audience: 'user assistant',
  }).map(([name, allowed]) => [name, new Set(allowed.split(' '))]),
);

/** What a client has to give back as it got it. */
const ids = new Set(['taskId', 'nextCursor', 'requestState', 'progressToken']);
const isId = /^[\x21-\x7e]+$/;

const dates = new Set(['createdAt', 'lastUpdatedAt', 'lastModified']);
const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;
const isMimeType =
  /^(application|audio|font|image|message|model|multipart|text|video)\/[\w.+-]{1,100}(; ?charset="?[\w-]{1,20}"?)?$/;
const notBase64 = /[^A-Za-z0-9+/=\r\n]/;

/**
 * Whether a text is the protocol's own: a word, an id, a date or a file, where the protocol has one and as it allows it. Everything else is
 * text of the server, whatever it is called. `idChars`: longer ids are text.
 */
export function isOfTheProtocol(
  name: string,
  value: string,
  { place, idChars }: { place: Place; idChars: number },
): boolean {
  if (Object.hasOwn(words, name)) return words[name]?.has(value) ?? false;
  if (name === 'mimeType') return isMimeType.test(value);
  if (dates.has(name)) return isDate.test(value);
  return place === 'message' && ids.has(name) && value.length <= idChars && isId.test(value);
}

/** Whether a text is a file in base64: `blob`, and the data of a picture or a sound. */
export const isFile = (name: string, value: string, of: { type?: unknown }, place: Place): boolean =>
  place !== 'meta' &&
  (name === 'blob' || (name === 'data' && (of.type === 'image' || of.type === 'audio'))) &&
  !notBase64.test(value);

/** Where the members of a member stand. */
export function placeIn(place: Place, name: string): Place {
  if (name === 'io.modelcontextprotocol/related-task') return 'message';
  if (name === '_meta' || place === 'meta') return 'meta';
  return place === 'message' && ['task', 'tasks', 'result'].includes(name) ? 'message' : 'part';
}
