import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkpointOf, flipBit, newSigner, recordsOf, signatureBy } from '../test/support.ts';
import {
  formatNote,
  formatTlogProof,
  formatVerifierKey,
  openCheckpoint,
  openNote,
  parseCheckpoint,
  parseTlogProof,
  parseVerifierKey,
  SIGNATURE_TYPE,
  VerifierError,
  type VerifierKey,
  verifierKey,
} from './index.ts';

// The example of c2sp.org/signed-note@v1.0.0.
const EXAMPLE_VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const EXAMPLE_NOTE =
  'This is an example message.\n\n' +
  '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';

const refused = (kind: 'format' | 'signature') => (error: unknown) =>
  error instanceof VerifierError && error.kind === kind;

const keysOf = (signatures: { key: VerifierKey }[]) => signatures.map(({ key }) => key);

describe('a verifier key', () => {
  it('is read and written as in the example of the specification', () => {
    const key = parseVerifierKey(EXAMPLE_VKEY);
    assert.equal(key.name, 'example.com/foo');
    assert.equal(key.type, SIGNATURE_TYPE.ed25519);
    assert.equal(formatVerifierKey(key), EXAMPLE_VKEY);
  });

  it('is refused where its id is not that of the key, or a part is missing or of another kind', () => {
    const [name, id, material] = EXAMPLE_VKEY.split('+');
    for (const vkey of [
      '',
      `${name}+${id}`,
      `${name}+530d903b+${material}`,
      `${name}+530D903A+${material}`,
      `other+${id}+${material}`,
      `+${id}+${material}`,
      `a b+${id}+${material}`,
      `${name}+${id}+${material?.slice(0, -4)}`,
      `${name}+${id}+${material}\n`,
    ]) {
      assert.throws(() => parseVerifierKey(vkey), refused('format'), vkey);
    }
    assert.throws(() => verifierKey('log.example', new Uint8Array(32), 2), refused('format'));
    assert.throws(() => verifierKey('log+example', new Uint8Array(32)), refused('format'));
    assert.throws(() => verifierKey('log\u00a0example', new Uint8Array(32)), refused('format'));
  });
});

describe('a signed note', () => {
  it('of the specification opens with the specification’s key', async () => {
    const key = parseVerifierKey(EXAMPLE_VKEY);
    const { text, signatures } = await openNote(EXAMPLE_NOTE, [key]);
    assert.equal(text, 'This is an example message.\n');
    assert.deepEqual(keysOf(signatures), [key]);
  });

  it('is refused after any one bit of it has changed', async () => {
    const key = parseVerifierKey(EXAMPLE_VKEY);
    const bytes = Buffer.from(EXAMPLE_NOTE);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mutated = new TextDecoder().decode(flipBit(bytes, bit));
      await assert.rejects(openNote(mutated, [key]), VerifierError, `bit ${bit}`);
    }
  });

  it('may carry 16 signatures and more; those by unknown keys count for nothing, even with a known name', async () => {
    const text = 'to whom it may concern\n\nafter an empty line\n';
    const known = newSigner('log.example');
    const namesake = newSigner('log.example');
    const strangers = Array.from({ length: 15 }, (_, i) => newSigner(`stranger.example/${i}`));
    const signatures = [namesake, ...strangers, known].map((signer) => signatureBy(signer, text));
    const note = formatNote(text, signatures);
    const opened = await openNote(note, [known.key]);
    assert.deepEqual([opened.text, keysOf(opened.signatures)], [text, [known.key]]);
    const without = formatNote(text, signatures.slice(0, -1));
    await assert.rejects(openNote(without, [known.key]), refused('signature'));
  });

  it('is refused as a whole for one wrong signature by a known key, whoever else has signed', async () => {
    const [good, bad] = [newSigner('good.example'), newSigner('bad.example')];
    const text = 'pay 40\n';
    const note = formatNote(text, [signatureBy(good, text), signatureBy(bad, 'pay 400\n')]);
    await assert.rejects(openNote(note, [good.key, bad.key]), refused('signature'));
    assert.deepEqual(keysOf((await openNote(note, [good.key])).signatures), [good.key]);
    const short = formatNote(text, [{ key: good.key, signature: new Uint8Array(63) }]);
    await assert.rejects(openNote(short, [good.key]), refused('signature'));
  });

  it('is refused where it is not of the format', async () => {
    const key = parseVerifierKey(EXAMPLE_VKEY);
    const [text, line] = EXAMPLE_NOTE.split('\n\n') as [string, string];
    for (const note of [
      '',
      '\n\n',
      `${text}\n${line}`,
      `${text}\n\n`,
      `\n\n${line}`,
      `${text}\n\n${line.trimEnd()}`,
      `${text}\n\n${line}\n`,
      `${text}\r\n\n${line}`,
      `${text}\u0000\n\n${line}`,
      `${text}\ud800\n\n${line}`,
      `${text}\n\n${line.replace('—', '-')}`,
      `${text}\n\n${line.replace(' Uw', '  Uw')}`,
      `${text}\n\n${line.replace('aQM=', 'aQN=')}`,
      `${text}\n\n${line.repeat(101)}`,
    ]) {
      await assert.rejects(openNote(note, [key]), refused('format'), JSON.stringify(note));
    }
  });
});

describe('a checkpoint', () => {
  const records = recordsOf(5);
  const log = newSigner('log.example/1');

  it('is opened with the log’s key and tells size, root and the witnesses known to the reader', async () => {
    const witness = newSigner('witness.example', SIGNATURE_TYPE.cosignature);
    const stranger = newSigner('stranger.example', SIGNATURE_TYPE.cosignature);
    const opened = await openCheckpoint(checkpointOf(records, 5, log, witness, stranger), log.key, 'log.example/1', [
      witness.key,
    ]);
    assert.equal(opened.size, 5);
    assert.deepEqual(opened.witnessedBy, ['witness.example']);
  });

  it('is refused when only a witness vouches for it', async () => {
    const witness = newSigner('witness.example', SIGNATURE_TYPE.cosignature);
    const impostor = newSigner('log.example/1');
    const note = checkpointOf(records, 5, impostor, witness);
    await assert.rejects(openCheckpoint(note, log.key, undefined, [witness.key]), refused('signature'));
  });

  it('is refused as that of another log which the same key signs', async () => {
    await assert.rejects(openCheckpoint(checkpointOf(records, 5, log), log.key, 'log.example/2'), refused('signature'));
  });

  it('is refused when a witness’s stated time was changed', async () => {
    const witness = newSigner('witness.example', SIGNATURE_TYPE.cosignature);
    const text = 'log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n';
    const { key, signature } = signatureBy(witness, text);
    const note = formatNote(text, [signatureBy(log, text), { key, signature: flipBit(signature, 7 * 8) }]);
    await assert.rejects(openCheckpoint(note, log.key, undefined, [key]), refused('signature'));
  });

  it('has one spelling', () => {
    const root = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
    const read = parseCheckpoint(`example.com/behind-the-sofa\n20852163\n${root}\n`);
    assert.equal(read.origin, 'example.com/behind-the-sofa');
    assert.equal(read.size, 20_852_163);
    assert.equal(parseCheckpoint(`o\n1\n${root}\nextension\n`).size, 1);
    for (const text of [
      '',
      `o\n1\n${root}`,
      `\n1\n${root}\n`,
      `o\n01\n${root}\n`,
      `o\n-1\n${root}\n`,
      `o\n1e3\n${root}\n`,
      `o\n 1\n${root}\n`,
      `o\n9007199254740993\n${root}\n`,
      `o\n1\n${root.slice(4)}\n`,
      `o\n1\n${root.replace('2I=', '2J=')}\n`,
      `o\n1\n${root}\n\n`,
      `o\n1\n\n${root}\n`,
    ]) {
      assert.throws(() => parseCheckpoint(text), refused('format'), JSON.stringify(text));
    }
  });
});

describe('a proof file', () => {
  const checkpoint = checkpointOf(recordsOf(5), 5, newSigner('log.example'));
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });

  it('is read back as it was written, the checkpoint verbatim', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.array(hash, { maxLength: 53 }),
        fc.option(fc.uint8Array({ minLength: 1 }), { nil: undefined }),
        (index, proof, extra) => {
          const written = extra ? { index, proof, checkpoint, extra } : { index, proof, checkpoint };
          assert.deepEqual(parseTlogProof(formatTlogProof(written)), written);
        },
      ),
    );
  });

  it('has the lines of c2sp.org/tlog-proof@v1', () => {
    const lines = formatTlogProof({
      index: 3,
      proof: [new Uint8Array(32)],
      checkpoint,
      extra: Buffer.from('x'),
    }).split('\n');
    const zeros = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
    assert.deepEqual(lines.slice(0, 6), ['c2sp.org/tlog-proof@v1', 'extra eA==', 'index 3', zeros, '', 'log.example']);
  });

  it('is refused where it is not of the format', () => {
    const good = formatTlogProof({ index: 3, proof: [new Uint8Array(32)], checkpoint });
    for (const text of [
      '',
      good.replace('@v1', '@v2'),
      good.replace('index 3', 'index 03'),
      good.replace('index 3', 'index -3'),
      good.replace('index 3', 'Index 3'),
      good.replace('index 3\n', ''),
      good.replace('index 3', 'extra \nindex 3'),
      good.replace('index 3', 'index 3\nextra eA=='),
      good.replace('AAA=\n', 'AAB=\n'),
      good.replace('AAAA', ''),
      good.replace('\n\n', '\n'),
      formatTlogProof({ index: 3, proof: Array(65).fill(new Uint8Array(32)), checkpoint }),
    ]) {
      assert.throws(() => parseTlogProof(text), refused('format'), JSON.stringify(text));
    }
  });
});
