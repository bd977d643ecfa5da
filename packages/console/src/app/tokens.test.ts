import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

/** WCAG 2.2, 1.4.3: text of normal size. */
const ENOUGH = 4.5;
const css = readFileSync(join(import.meta.dirname, 'tokens.css'), 'utf8');

for (const scheme of ['light', 'dark']) {
  const block = new RegExp(`scheme="${scheme}"\\] \\{([^}]*)\\}`).exec(css)?.[1] ?? '';
  const colours = Object.fromEntries(
    [...block.matchAll(/--gh-([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]),
  ) as Record<string, string>;
  const hues = ['green', 'blue', 'amber', 'orange', 'red', 'violet', 'gray'];
  const grounds = ['canvas', 'surface', 'raised', 'hover'];

  test(`${scheme}: tiers and states can be read on their own ground and on every ground of a page`, () => {
    for (const hue of hues)
      for (const ground of [`${hue}-bg`, ...grounds]) assertReadable(colours, `${hue}-fg`, ground);
  });

  test(`${scheme}: text, quiet text and links can be read on every ground`, () => {
    for (const text of ['ink', 'quiet', 'accent'])
      for (const ground of [...grounds, 'accent-soft']) assertReadable(colours, text, ground);
    for (const hue of ['red', 'green', 'amber']) assertReadable(colours, 'ink', `${hue}-bg`);
    // What was changed within a line of a definition.
    assertReadable(colours, 'ink', 'red-line');
    assertReadable(colours, 'ink', 'green-line');
  });
}

function assertReadable(colours: Record<string, string>, text: string, ground: string): void {
  const [a, b] = [colours[text], colours[ground]];
  assert.ok(a && b, `${text} and ${ground} are colours`);
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  const contrast = (light + 0.05) / (dark + 0.05);
  assert.ok(contrast >= ENOUGH, `${text} on ${ground}: ${contrast.toFixed(2)}`);
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
