import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128
      ? [body.length]
      : body.length < 256
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};

/** A certification request as an agent makes one; parts can be replaced. */
export function createCsr(change: { keys?: { privateKey: KeyObject; publicKey: KeyObject }; signer?: KeyObject } = {}) {
  const keys = change.keys ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = keys.publicKey.export({ type: 'spki', format: 'der' });
  const info = der(0x30, Buffer.from([2, 1, 0]), der(0x30), spki, der(0xa0));
  const signature = sign('sha256', info, change.signer ?? keys.privateKey);
  const request = der(0x30, info, Buffer.from('300a06082a8648ce3d040302', 'hex'), der(0x03, Buffer.of(0), signature));
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${request.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`;
  return { ...keys, der: request, pem };
}
