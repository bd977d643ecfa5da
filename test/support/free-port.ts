import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const FIRST = 16_000;
const SLICE = 128;
/** From here on the system gives ports to whoever names none: one that is chosen now could be another's before it is listened at. */
const LAST = Number(readOr('/proc/sys/net/ipv4/ip_local_port_range', '32768').split(/\s/)[0]);
const SLICES = Math.floor((LAST - FIRST) / SLICE);
let next = Math.floor(Math.random() * SLICE);

/** For servers that have to know their own address before they listen. Each process has its own ports, and gives each as seldom as it can. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < SLICE && SLICES > 0; tries++) {
    const port = FIRST + (process.pid % SLICES) * SLICE + (next++ % SLICE);
    if ((await listenOnce(port)) !== undefined) return port;
  }
  return (await listenOnce(0)) as number;
}

/** Undefined where somebody listens there. */
async function listenOnce(wanted: number): Promise<number | undefined> {
  const server = createServer();
  try {
    await once(server.listen(wanted, '127.0.0.1'), 'listening');
  } catch {
    return undefined;
  }
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
