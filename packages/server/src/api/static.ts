import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/** Pages and scripts hold no secrets beside what a request sends, so compressing them tells nothing (BREACH). */
const compressible = new Set(['.html', '.js', '.css', '.svg', '.json', '.webmanifest']);

export const securityHeaders = {
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

/** The service worker runs no other script, and fetches the console's own files. */
const workerPolicy = "default-src 'none'; connect-src 'self'; script-src 'self'";

/** The built console: files of its directory, and `index.html` for every path that is a page of the application. */
export async function serveConsole(
  directory: string,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  const file = (await assetAt(directory, path)) ?? join(directory, 'index.html');
  const isAsset = file.startsWith(join(directory, 'assets') + sep);
  const isCompressed =
    compressible.has(extname(file)) && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
  response.writeHead(200, {
    ...securityHeaders,
    ...(file === join(directory, 'sw.js') && { 'content-security-policy': workerPolicy }),
    vary: 'accept-encoding',
    ...(isCompressed && { 'content-encoding': 'gzip' }),
    'content-type': types[extname(file)] ?? 'application/octet-stream',
    // Assets carry a hash of their content in their names.
    'cache-control': isAsset ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  if (request.method === 'HEAD') response.end();
  // Nothing reads a file that is opened for somebody who has gone, so that nothing would close it.
  else if (response.destroyed) return;
  else if (isCompressed) await pipeline(createReadStream(file), createGzip(), response).catch(ignoreLeaving);
  else await pipeline(createReadStream(file), response).catch(ignoreLeaving);
}

/** The file that the path names, if it names one of the directory. */
async function assetAt(directory: string, path: string): Promise<string | undefined> {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
  if (decoded.includes('\0')) return undefined;
  const file = join(directory, normalize(`/${decoded}`));
  return file.startsWith(directory + sep) && (await isFile(file)) ? file : undefined;
}

/** A browser that has gone before it had everything is no failure of ours. */
function ignoreLeaving(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return false;
    throw error;
  }
}
