/** Texts that are made to be slow to look at: what begins something again and again and never ends it. */

const units = [
  ...'aA1-_.@:/= \t"\'`<>![](){}\\&#%+~*|\n\u200d\u001b\u009b\ufe0f\u202e\u200bé',
  ...['\u001b[', '\u001b]', '\u{e0061}', '\u0627\u200c', '\u200d\u{1f600}', '\u{1f3f4}\u{e0067}'],
  ...['a.', 'a@', '@a.', 'a@a.', `${'x'.repeat(63)}.`, `a@${'a.'.repeat(8)}`, '%a', 'é@é.'],
  ...['1-', '1 ', '1.', '(1', '+1', '+1 ', '2-2', '2 2', '000-', '111.111.', '11111111 ', '4111 ', '3111 ', 'X1234567'],
  ...['AA11', 'AA11 ', 'DE89 ', '1 11', 'AAAAAA11', '12345678:AA'],
  ...[
    'a:',
    '://',
    'a://a:',
    '://a:b',
    'password=',
    'password: ',
    'secret=',
    'token_',
    'api_key=',
    'bearer ',
    'authorization:',
  ],
  ...['eyJaaaaaaaa.', 'eyJaaaaaaaa.eyJ', 'sk-', 'ghp_', 'glpat-', 'xoxb-', 'pypi-', 'hvs.', 'AIza', 'SG.'],
  ...['-----', '-----BEGIN ', '-----BEGIN A A ', '-----BEGIN PRIVATE KEY-----', 'Private-Lines: 1\n', 'AAAA\n'],
  ...[
    '<!--',
    '<!-',
    '<a ',
    '<a b=',
    '<a b="',
    '<a style="url(',
    '<div hidden>',
    '<style>',
    '<img src=x ',
    '<![CDATA[',
    '<?',
  ],
  ...['&#', '&amp', '![', '![a](', '![a](/', '[a]:', '[a]: x\n', '```', '*a', '_a', '|-', '> ', '- '],
  ...[
    '{"a":',
    '["',
    '\\"',
    'display:none;',
    'overflow:hidden;',
    'height:0;',
    'font: ',
    '/*',
    'url(',
    '@import "',
    'image("',
  ],
];

const inStyle = (written: string) => (length: number) => `<a style="${repeated(written, length)}">`;

export function repeated(unit: string, length: number): string {
  return unit
    .repeat(Math.ceil(length / unit.length))
    .slice(0, length)
    .toWellFormed();
}

/** By name: a text of about so many characters. */
export const slowInputs: ReadonlyMap<string, (length: number) => string> = new Map([
  ...units.map((unit): [string, (length: number) => string] => [
    JSON.stringify(unit),
    (length) => repeated(unit, length),
  ]),
  ...['overflow:hidden ', 'height:0;', 'font:', 'url(', 'left:-1'].map(
    (written): [string, (length: number) => string] => [`style of ${written}`, inStyle(written)],
  ),
  ['srcset of commas', (length) => `<img srcset="${repeated(', ', length)}">`],
  ['srcset of spaces', (length) => `<img srcset="a${repeated(' ', length)}">`],
  ['style sheet of imports', (length) => `<style>${repeated('@import ', length)}</style>`],
  ['image that leads nowhere', (length) => `![${'a'.repeat(400)}](${repeated(' ', length)}`],
  ...[' ', '>', '[', '- ', '{"a":\n>'].map((unit): [string, (length: number) => string] => [
    `Markdown of ${JSON.stringify(unit)}`,
    // As much as is parsed of one text, again and again.
    (length) => repeated(`![a](b) ${repeated(unit, 60_000)}\n\n`, Math.min(length, 65_000)),
  ]),
  ['levels of JSON', (length) => `${'['.repeat(900)}1${']'.repeat(900)}${repeated(' ', length)}`],
  ['strings of JSON', (length) => JSON.stringify(Array.from({ length: length / 4 }, () => 'a'))],
  ['escapes of JSON', (length) => JSON.stringify({ password: repeated('"', length / 2) })],
]);
