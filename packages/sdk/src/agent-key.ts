import { generateKeyPairSync } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { calculateJwkThumbprint, importJWK, type JWK } from 'jose';

/** An agent's own key pair. The private part never leaves the process or file that holds it. */
export interface AgentKey {
  privateKey: CryptoKey;
  publicJwk: { kty: 'EC'; crv: 'P-256'; x: string; y: string };
  thumbprint: string;
}

/** A new P-256 key, written as a private JWK that only this user can read. Refuses to overwrite a file. */
export async function generateAgentKey(path: string): Promise<AgentKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, `${JSON.stringify(privateKey.export({ format: 'jwk' }))}\n`, { mode: 0o600, flag: 'wx' });
  return readAgentKey(path);
}

/**
 * Reads a key file; refuses one that other users of the machine can read, or have made: whoever wrote it has the key, and enrolled it
 * would be theirs. What root has made (a mounted secret) is taken.
 */
export async function readAgentKey(path: string): Promise<AgentKey> {
  const file = await open(path, 'r');
  try {
    const { mode, uid } = await file.stat();
    if (process.platform !== 'win32') {
      if ((mode & 0o077) !== 0) throw new Error(`The key file ${path} can be read by others. Run: chmod 600 ${path}`);
      if (uid !== 0 && uid !== process.getuid?.())
        throw new Error(`The key file ${path} belongs to another user, who has the key as well. Name one of your own.`);
    }
    return await agentKeyFromJwk(JSON.parse(await file.readFile('utf8')) as JWK);
  } finally {
    await file.close();
  }
}

export async function agentKeyFromJwk(jwk: JWK): Promise<AgentKey> {
  const { kty, crv, x, y } = jwk;
  if (kty !== 'EC' || crv !== 'P-256' || !x || !y || !jwk.d)
    throw new Error('An agent key is a private JWK of kty EC and crv P-256.');
  const publicJwk = { kty: 'EC', crv: 'P-256', x, y } as const;
  return {
    privateKey: (await importJWK(jwk, 'ES256')) as CryptoKey,
    publicJwk,
    thumbprint: await calculateJwkThumbprint(publicJwk),
  };
}

/** Extractable, so that proofs can carry it. */
export async function publicKeyOf({ publicJwk }: AgentKey): Promise<CryptoKey> {
  return (await importJWK(publicJwk, 'ES256', { extractable: true })) as CryptoKey;
}
