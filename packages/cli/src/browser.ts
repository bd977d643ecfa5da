import { spawn } from 'node:child_process';

/** Undefined when it was started; else why not. */
export function openBrowser(url: string): Promise<string | undefined> {
  const [command, args] = browserCommand(url);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.once('error', (error) => resolve(error.message));
  child.once('spawn', () => resolve(undefined));
  child.unref();
  return promise;
}

function browserCommand(url: string): [string, string[]] {
  const named = process.env.BROWSER;
  if (named) return [named, [url]];
  if (process.platform === 'darwin') return ['open', [url]];
  if (process.platform === 'win32') return ['rundll32', ['url.dll,FileProtocolHandler', url]];
  return ['xdg-open', [url]];
}
