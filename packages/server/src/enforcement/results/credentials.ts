import type { Detector, Finding } from './detector.ts';

interface Format {
  kind: string;
  pattern: RegExp;
  /** The group that is secret, where the rest says what it is. */
  group?: number;
  isMeant?(secret: string): boolean;
}

/** Prefixes and words without which none of the formats below can be there: most texts are seen with this one look. */
const hint =
  /A(?:KI|SI|BI|CC)A|gh[pousr]_|github_pat_|gl[a-z]{2,6}-|xox[abeoprs]-|xapp-|[sr]k_(?:live|test)_|whsec_|sk-|AIza|ya29\.|GOCSPX-|npm_|pypi-|SG\.|hf_|dapi|shp[a-z]{2}_|do[opr]_v1_|hv[sbr]\.|lin_api_|ntn_|figd_|-----BEGIN|AGE-SECRET-KEY|PuTTY-User-Key|eyJ|:\/\/[^\s/@]+@|pass|pwd|secret|token|api.?key|access.?key|private.?key|account.?key|credential|authorization|bearer|:AA[\w-]{33}|hooks\.slack\.com/i;

const name =
  '(?:pass(?:word|wd|phrase|code)?|pwd|secret|(?:api|access|account|private|signing|encryption|shared|master|auth|secret)[_-]?key|(?<!(?:page|next|prev|previous|continuation|continue|sync|skip|cursor|pagination|csrf|max|count|num|of)[_-]?)token|credentials?)';

const formats: Format[] = [
  {
    kind: 'private-key',
    pattern:
      /-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,20000}(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)?/g,
  },
  { kind: 'private-key', pattern: /\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b/g },
  { kind: 'private-key', pattern: /^Private-Lines: \d+\r?\n(?:[A-Za-z0-9+/=]+\r?\n?){1,100}/gm },
  { kind: 'jwt', pattern: /(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*/g },
  { kind: 'aws-key', pattern: /\bA(?:KI|SI|BI|CC)A[A-Z2-7]{16}\b/g },
  { kind: 'github-token', pattern: /\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_\w{22,255}\b/g },
  { kind: 'gitlab-token', pattern: /\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct)-[\w-]{20,}/g },
  {
    kind: 'slack-token',
    pattern:
      /\bxox[abeoprs]-[\w-]{10,}|\bxapp-\d-[\w-]{10,}|https:\/\/hooks\.slack\.com\/(?:services|workflows|triggers)\/[\w/+-]{20,}/g,
  },
  { kind: 'stripe-key', pattern: /\b[sr]k_(?:live|test)_\w{16,}|\bwhsec_[\w+/=]{24,}/g },
  { kind: 'api-key', pattern: /\bsk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?[\w-]{20,}/g, isMeant: isRandom },
  { kind: 'google-key', pattern: /\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{28}/g },
  { kind: 'npm-token', pattern: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { kind: 'pypi-token', pattern: /\bpypi-[\w-]{50,}/g },
  { kind: 'sendgrid-key', pattern: /\bSG\.[\w-]{22}\.[\w-]{43}/g },
  {
    kind: 'api-key',
    pattern:
      /\bhf_[A-Za-z0-9]{34}\b|\bdapi[a-f0-9]{32}\b|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b|\bdo[opr]_v1_[a-f0-9]{64}\b|\blin_api_\w{40}\b|\bntn_\w{40,}\b|\bfigd_[\w-]{40,}/g,
  },
  { kind: 'vault-token', pattern: /\bhv[sbr]\.[\w-]{24,}/g },
  { kind: 'bot-token', pattern: /\b\d{8,10}:AA[\w-]{33}/g },
  {
    kind: 'password',
    pattern: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"'<>]{0,200}:([^\s/@"'<>]{1,300})@[\w.[\]-]/gi,
    group: 1,
    isMeant: isSaid,
  },
  {
    kind: 'authorization',
    pattern: /\b(?:authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:bearer|basic|token)|bearer)\s{1,3}([\w.~+/-]{16,}=*)/gi,
    group: 1,
    isMeant: isRandom,
  },
  {
    kind: 'password',
    pattern:
      /(?:pass(?:word|wd|phrase)|pwd)["']?[^\S\r\n]{0,3}[:=][^\S\r\n]{0,3}(?:"([^"\n]{4,200})"|'([^'\n]{4,200})'|([^\s"',;[<][^\s"',;]{5,199}))/gi,
    isMeant: isWrittenOut,
  },
  {
    kind: 'secret',
    pattern: new RegExp(
      `${name}["']?[^\\S\\r\\n]{0,3}(?::=|=>|[:=])[^\\S\\r\\n]{0,3}(?:"([^"\\n]{8,500})"|'([^'\\n]{8,500})'|([^\\s"',;[<][^\\s"',;]{7,499}))`,
      'gi',
    ),
    isMeant: isRandom,
  },
];

/** Names of members whose whole value is secret, whatever it looks like. */
const secretMember =
  /^(?:.*[_-])?(?:password|passwd|pwd|passphrase|client_?secret|secret_?key|secret_?access_?key|private_?key|api_?secret|api_?key|access_?key|auth_?token|access_?token|refresh_?token|bearer_?token|session_?token|id_?token)$|(?:Password|Secret|SecretKey|PrivateKey|ApiKey|AccessKey|AuthToken|AccessToken|RefreshToken|SessionToken|IdToken)$/i;

/** Whether what is called this is a secret as a whole: a value that is one, and not what stands for it. */
export function isSecretMember(name: string, value: string): boolean {
  if (name.length > 100 || value.length < 3) return false;
  if (/^(?:token|secret|credentials?|key)$/i.test(name)) return isRandom(value);
  return secretMember.test(name) && isSaid(value) && !/\s/.test(value.trim());
}

/** Formats that name themselves, and values that are said to be secret. */
export const credentials: Detector = {
  name: 'credentials',
  sensitive: ['credentials'],
  detect(text) {
    if (!hint.test(text)) return [];
    const found: Finding[] = [];
    for (const { kind, pattern, group, isMeant } of formats) {
      for (const match of text.matchAll(pattern)) {
        const [whole, ...groups] = match;
        const secret = (group === undefined ? groups.find((each) => each !== undefined) : groups[group - 1]) ?? whole;
        if (isMeant && !isMeant(secret)) continue;
        const from = match.index + whole.lastIndexOf(secret);
        found.push({ kind, sensitive: ['credentials'], from, to: from + secret.length });
      }
    }
    return found;
  },
};

/** No reference, type, or stand-in. */
function isSaid(value: string): boolean {
  if (
    /^(?:\*+|x+|\.+|-+|<.*>|\$\{.*|\$\w+|\{\{?.*|%\w+%?|\[.*\]|null|none|undefined|true|false|string|str|required|optional|redacted|hidden|masked|changeme|example|password|secret|token)[;,)]*$/i.test(
      value,
    )
  )
    return false;
  return !/^(?:process\.env|os\.environ|env[.[]|vault:|secret:|ref:|file:)/i.test(value);
}

/** Written out, and not made by code. */
function isWrittenOut(value: string): boolean {
  return isSaid(value) && !/[(){}<>]|\w\.\w+[.([]/.test(value) && /[\d\W_]|[a-z][A-Z]/.test(value);
}

/** Letters and digits without words: what no person made up. */
function isRandom(value: string): boolean {
  return isWrittenOut(value) && /\d/.test(value) && /[a-z]/i.test(value) && entropy(value) >= 3;
}

/** Bits for each character. */
function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const character of value.slice(0, 200)) counts.set(character, (counts.get(character) ?? 0) + 1);
  const all = Math.min(value.length, 200);
  let bits = 0;
  for (const times of counts.values()) bits -= (times / all) * Math.log2(times / all);
  return bits;
}
