import { cpus } from 'node:os';
import { openHouse } from '../packages/server/src/identity/testing/house.ts';
import { createCsr } from '../packages/server/src/identity/testing/svid-client.ts';
import { ECDSA_P256, loadX509 } from '../packages/server/src/identity/trust-domain/x509.ts';

/**
 * `npm run bench -- svid [SECONDS ROUNDS]`: P5, X.509-SVIDs a second. One process, SQLite with fsync: each SVID is made for a new CSR's key,
 * its proof of possession checked, and it is recorded, with agent unchanged, before it is given out. Beside it, in turn, what
 * @peculiar/x509 makes of such a request and a signature, recording nothing.
 */
const [seconds = 3, rounds = 3] = process.argv.slice(2).map(Number);
const AT_ONCE = [1, 32, 128];

const house = await openHouse();
await house.furnish();
await house.enrol('agent-bench');
const agent = house.registry.snapshot().agents.get('agent-bench');
if (!agent) throw new Error('no agent');
const requests = Array.from({ length: 256 }, () => createCsr().der);
const x509 = await loadX509();
const signer = await crypto.subtle.generateKey(ECDSA_P256, false, ['sign', 'verify']);

const targets: Record<string, (turn: number) => Promise<unknown>> = {
  'Gatehouse: checked, signed and recorded': (turn) =>
    house.identity.trustDomain.issueX509({
      subject: { agent, task: null },
      csr: requests[turn % requests.length] as Buffer,
      via: 'bench',
    }),
  '@peculiar/x509: checked and signed': async (turn) => {
    const request = new x509.Pkcs10CertificateRequest(new Uint8Array(requests[turn % requests.length] as Buffer));
    if (!(await request.verify())) throw new Error('not signed');
    return x509.X509CertificateGenerator.create({
      subject: 'O=Gatehouse',
      issuer: 'CN=bench',
      publicKey: request.publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm: ECDSA_P256,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: agent.spiffeId }]),
        await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
      ],
    });
  },
};

async function measure(work: (turn: number) => Promise<unknown>, atOnce: number) {
  const until = performance.now() + seconds * 1000;
  const times: number[] = [];
  const began = performance.now();
  let turn = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (performance.now() < until) {
        const at = performance.now();
        await work(turn++);
        times.push(performance.now() - at);
      }
    }),
  );
  times.sort((a, b) => a - b);
  const quantile = (q: number) => times[Math.floor(times.length * q)] as number;
  return { perSecond: (times.length * 1000) / (performance.now() - began), p50: quantile(0.5), p99: quantile(0.99) };
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const found = new Map<string, Awaited<ReturnType<typeof measure>>[]>();
for (let round = 0; round < rounds; round++)
  for (const atOnce of AT_ONCE)
    for (const [name, work] of Object.entries(targets)) {
      const key = `${name} | ${atOnce}`;
      found.set(key, [...(found.get(key) ?? []), await measure(work, atOnce)]);
    }
console.log(
  `${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}, ${rounds} rounds of ${seconds} s\n`,
);
console.log('| target | at once | SVIDs/s | p50 ms | p99 ms |\n|---|--:|--:|--:|--:|');
for (const [key, all] of found) {
  const of = (member: 'perSecond' | 'p50' | 'p99') => median(all.map((each) => each[member]));
  console.log(`| ${key} | ${Math.round(of('perSecond'))} | ${of('p50').toFixed(2)} | ${of('p99').toFixed(2)} |`);
}
await house.close();
