import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GatehouseRequestError } from './errors.ts';

/** Of connections to one server, for all requests of the SDK to it. */
export interface ServerTrust {
  /** Authorities (PEM, or a file with it) that the server's certificate is verified with, in place of the system's. The file is read once. */
  ca?: string;
}

/** Node's own fetch where nothing else is said: it takes no authorities. */
export function serverFetch({ ca }: ServerTrust): typeof fetch {
  if (ca === undefined) return (...call) => fetch(...call);
  let made: Promise<typeof fetch> | undefined;
  return async (input, init) => {
    made ??= trusting(ca).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return (await made)(input, init);
  };
}

async function trusting(given: string): Promise<typeof fetch> {
  const ca = await readAuthorities(given);
  const { Agent, fetch: undiciFetch } = await import('./undici.ts');
  const dispatcher = new Agent({ connect: { ca } });
  return ((input: string | URL, init: object) =>
    undiciFetch(input, { ...init, dispatcher })) as unknown as typeof fetch;
}

async function readAuthorities(given: string): Promise<string> {
  const isText = given.includes('-----BEGIN ');
  try {
    const pem = isText ? given : await readFile(given, 'utf8');
    // TLS would leave out what is none, and then trust nobody without a word.
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    const what = isText ? 'What was given as' : `The file ${given} with`;
    throw new GatehouseRequestError(0, 'ca.unreadable', `${what} authorities (ca) holds no certificate in PEM.`, {
      cause,
    });
  }
}
