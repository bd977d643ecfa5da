/** One server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export interface ServerSentEvent {
  event: string;
  data: string;
  /** The last id that was sent, of this event or of one before it. */
  id: string | null;
  /** What the server asked to wait before coming back. */
  retryMs: number | null;
}

/** More in one event is no event of ours, and is not gathered. */
const MAX_EVENT_CHARS = 32 * 1024 * 1024;

/** Reads a `text/event-stream` body until it ends. Events without data are given, too: they may carry an id. */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let id: string | null = null;
  let retryMs: number | null = null;
  let event = '';
  let data: string[] = [];
  let size = 0;
  let touched = false;

  const take = (line: string): ServerSentEvent | undefined => {
    if (line === '') {
      if (!touched) return undefined;
      const done = { event: event || 'message', data: data.join('\n'), id, retryMs };
      event = '';
      data = [];
      size = 0;
      touched = false;
      return done;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'data') {
      size += value.length;
      data.push(value);
    } else if (field === 'event') event = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value);
    else return undefined;
    touched = true;
    return undefined;
  };

  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the end may be half of a CRLF: it is looked at with what follows.
    let from = 0;
    for (let at = nextLineEnd(rest, from); at >= 0; at = nextLineEnd(rest, from)) {
      if (rest[at] === '\r' && at === rest.length - 1) break;
      const done = take(rest.slice(from, at));
      from = at + (rest[at] === '\r' && rest[at + 1] === '\n' ? 2 : 1);
      if (done) yield done;
    }
    rest = rest.slice(from);
    if (size + rest.length > MAX_EVENT_CHARS) throw new Error(`An event has more than ${MAX_EVENT_CHARS} characters.`);
  }
}

function nextLineEnd(text: string, from: number): number {
  const newline = text.indexOf('\n', from);
  const carriage = text.indexOf('\r', from);
  return newline < 0 || (carriage >= 0 && carriage < newline) ? carriage : newline;
}
