import { randomBytes } from 'node:crypto';
import type { ProviderAbilities, SshScope } from '@gatehouse/protocol';
import type { Certificate, CertificateOptions, PrivateKey } from 'sshpk';
import { type Clock, Secret } from '../../platform/index.ts';
import type { Left, Made, Order, Provider, Remaining } from '../leases/types.ts';

const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: true, canRevoke: false, canEndSessions: false, maxResidualSeconds: null },
  sessionsOutlive: true,
};
/** Hosts' clocks may be behind by this. */
const CLOCK_SKEW_MS = 60_000;

/**
 * A key for each lease and a certificate of it that ends with the lease, signed by an authority of this provider alone (PROTOCOL.certkeys of
 * OpenSSH). Nothing is stored anywhere but with the lease: what was not given out is gone by itself.
 */
export function openSshProvider(name: string, clock: Clock, authority: () => Promise<Secret>): Provider {
  async function signing() {
    const { default: sshpk } = await import('sshpk');
    return { sshpk, key: sshpk.parsePrivateKey((await authority()).reveal(), 'pem') };
  }

  return {
    abilities: ABILITIES,

    async create({ name: lease, agent, task, scope, expiresAt }: Order): Promise<Made> {
      const { sshpk, key } = await signing();
      const own: PrivateKey = sshpk.generatePrivateKey('ed25519');
      const ends = Math.floor(expiresAt / 1_000) * 1_000;
      const certificate = new sshpk.Certificate({
        subjects: (scope as unknown as Required<SshScope>).principals.map((each) => sshpk.identityForUser(each)),
        issuer: sshpk.identityForHost('gatehouse'),
        subjectKey: own.toPublic(),
        issuerKey: key.toPublic(),
        serial: randomBytes(8),
        validFrom: new Date(clock.now() - CLOCK_SKEW_MS),
        validUntil: new Date(ends),
        signatures: {} as CertificateOptions['signatures'],
      });
      certificate.signatures.openssh = {
        // What sshd writes to its log with each sign-in.
        keyId: [lease, agent, task].filter(Boolean).join(' '),
        ...{ exts: optionsOf(scope as SshScope), nonce: randomBytes(32) },
      } as Certificate['signatures']['openssh'];
      certificate.signWith(key);
      return {
        credential: {
          privateKey: new Secret(own.toString('openssh')),
          certificate: new Secret(certificate.toString('openssh')),
        },
        revocation: {},
        expiresAt: ends,
      };
    },

    async revoke({ revocation, expiresAt }: Left): Promise<Remaining | undefined> {
      if (revocation === null || expiresAt <= clock.now()) return undefined;
      return {
        until: expiresAt,
        why: 'hosts take an SSH certificate until it expires, and keep sessions that are open',
      };
    },

    async check() {
      await authority();
    },

    async trust() {
      const { key } = await signing();
      const line = key.toPublic();
      line.comment = `gatehouse ${name}`;
      return line.toString('ssh');
    },

    close: async () => undefined,
  };
}

/** Critical options and extensions, each list in the order of its names, as OpenSSH wants them. */
function optionsOf({ sourceAddresses, forceCommand, extensions = [] }: SshScope) {
  const option = (name: string, data: Buffer, critical: boolean) => ({ name, data, critical });
  return [
    ...(forceCommand === undefined ? [] : [option('force-command', sshString(forceCommand), true)]),
    ...(sourceAddresses ? [option('source-address', sshString(sourceAddresses.join(',')), true)] : []),
    ...[...new Set(extensions)].sort().map((name) => option(name, Buffer.alloc(0), false)),
  ];
}

/** RFC 4251 §5. */
function sshString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
