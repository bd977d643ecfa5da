import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createLane, type Lane } from '../../../platform/index.ts';
import { DeliveryFailure, type Destination, type SinkOf, type Tools } from '../types.ts';

const NEWLINE = 0x0a;

/** By folder: however many sinks write there, a disk that hangs keeps one thread. */
const lanes = new Map<string, Lane>();

/**
 * Lines in a file of the replica, for an agent of another program to collect. A batch counts when it is on the disk (fsync). A file that was
 * moved away or deleted is noticed before the next batch, and a new one is begun.
 */
export function file(sink: SinkOf<'file'>, tools: Pick<Tools, 'dataDir'>): Destination {
  const folder = join(tools.dataDir, 'export');
  const path = join(folder, sink.to.file);
  const lane = lanes.get(folder) ?? createLane(() => new Error('the disk does not answer'));
  lanes.set(folder, lane);
  let handle: FileHandle | undefined;

  /** The one that stands at the path: not one that is unlinked, or that another was put in the place of. */
  async function current(): Promise<FileHandle> {
    if (handle) {
      const held = await handle.stat();
      const named = await stat(path).catch(() => undefined);
      if (held.nlink > 0 && named && named.ino === held.ino && named.dev === held.dev) return handle;
      await handle.close();
      handle = undefined;
    }
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Nobody leads it elsewhere with a link, or to a pipe that nobody reads.
    const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
    const opened = await open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600);
    if (!(await opened.stat()).isFile()) {
      await opened.close();
      throw new Error('it is no regular file');
    }
    handle = opened;
    await endLine(handle);
    await syncFolder(folder);
    return handle;
  }

  async function rotate(): Promise<void> {
    await handle?.close();
    handle = undefined;
    await rm(`${path}.${sink.to.keep}`, { force: true });
    for (let at = sink.to.keep - 1; at >= 0; at--)
      await rename(at === 0 ? path : `${path}.${at}`, `${path}.${at + 1}`).catch(ifThere);
    await syncFolder(folder);
  }

  async function write(bytes: Buffer): Promise<void> {
    const { size } = await (await current()).stat();
    if (size > 0 && size + bytes.byteLength > sink.to.rotateBytes) await rotate();
    const to = await current();
    const before = (await to.stat()).size;
    try {
      await to.appendFile(bytes);
      await to.datasync();
    } catch (error) {
      // Half of a batch, on a disk that is full: it comes again as a whole.
      await to.truncate(before).catch(() => undefined);
      throw error;
    }
  }

  return {
    async send(batch) {
      const bytes = Buffer.from(`${batch.map(({ text }) => text).join('\n')}\n`);
      await lane
        .run(() => write(bytes), sink.timeoutMs)
        .catch((cause: Error) => {
          throw new DeliveryFailure('retry', `export/${sink.to.file}: ${cause.message}`, { cause });
        });
      return { refused: new Map() };
    },
    async close() {
      await lane.run(async () => handle?.close(), sink.timeoutMs);
      handle = undefined;
    },
  };
}

/** What a crash left of a line must not run into the next one. */
async function endLine(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  if (size === 0) return;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  if (buffer[0] !== NEWLINE) await handle.appendFile('\n');
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(folder, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function ifThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
