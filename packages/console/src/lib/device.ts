import { commandLineHost } from '@gatehouse/protocol/command-line';

/** `Chrome on Linux`, `Command line on laptop`: a name to start from; the person can change it. */
export function deviceName(userAgent: string): string {
  const host = commandLineHost(userAgent);
  if (host !== undefined) return `Command line on ${host}`;
  const browser = [
    [/Edg\//, 'Edge'],
    [/Firefox\//, 'Firefox'],
    [/(HeadlessChrome|Chrome|Chromium)\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ].find(([pattern]) => (pattern as RegExp).test(userAgent))?.[1];
  const system = [
    [/iPhone|iPad/, 'iOS'],
    [/Android/, 'Android'],
    [/Mac OS X/, 'macOS'],
    [/Windows/, 'Windows'],
    [/CrOS/, 'ChromeOS'],
    [/Linux/, 'Linux'],
  ].find(([pattern]) => (pattern as RegExp).test(userAgent))?.[1];
  return `${browser ?? 'Browser'}${system ? ` on ${system}` : ''}`;
}

export const thisDevice = (): string => deviceName(navigator.userAgent);
