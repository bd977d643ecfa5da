import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { CliFailure } from '../failure.ts';

/** Longer paths are cut off by the system (sun_path), silently. */
const MAX_PATH_BYTES = 103;

/**
 * Makes way for a socket: its directory is this user's alone, and a socket that nobody listens at any more is removed. Anything else that
 * lies there is left alone and refused.
 */
export async function prepareSocket(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw new CliFailure('usage', 'socket.path', `The path of a socket has at most ${MAX_PATH_BYTES} bytes: ${path}`);
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(directory);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0)
    throw new CliFailure(
      'usage',
      'socket.directory',
      `Others can enter ${directory}, and whoever opens the socket is the agent. Take a directory that is yours alone, such as ~/.gatehouse/run: it is made if it is not there.`,
    );
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new CliFailure('usage', 'socket.occupied', `${path} is there, and is no socket.`);
  if (await isListening(path))
    throw new CliFailure('usage', 'socket.occupied', `Another process serves ${path}. Stop it, or take another path.`);
  unlinkSync(path);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
