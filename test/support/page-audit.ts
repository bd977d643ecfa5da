import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

interface Opened {
  page: Page;
  /** Errors on the page so far. */
  faults: unknown[];
}

type Scheme = 'light' | 'dark';
type Size = { width: number; height: number };

/**
 * Every page, in light and dark, wide and narrow. Each is opened wide in light and narrow in dark, and then turned to the other scheme, as by
 * a system that does so in the evening. GATEHOUSE_TEST_PICTURES names a directory to look at them.
 */
export async function auditPages({
  url,
  paths,
  narrow,
  open,
}: {
  url: string;
  paths: string[];
  narrow: Size;
  /** A browser of its own, signed in. */
  open(how: { scheme: Scheme; size: Size }): Promise<Opened>;
}): Promise<void> {
  const wide = { width: 1280, height: 900 };
  for (const { schemes, size } of [
    { schemes: ['light', 'dark'], size: wide },
    { schemes: ['dark', 'light'], size: narrow },
  ] as const) {
    const { page, faults } = await open({ scheme: schemes[0], size });
    for (const path of paths) {
      await page.emulateMedia({ colorScheme: schemes[0] });
      await page.goto(url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.waitForFunction(() => !document.querySelector('.mantine-Skeleton-root, [aria-busy="true"]'));
      for (const scheme of schemes) {
        await turnTo(page, scheme);
        await picture(page, `${path.replaceAll(/[^a-z-]+/g, '_')}-${scheme}-${size.width}`);
        assert.deepEqual(await auditPage(page), [], `${path}, ${scheme}, ${size.width} px`);
      }
    }
    assert.deepEqual(faults, []);
    await page.context().close();
  }
}

async function turnTo(page: Page, scheme: Scheme): Promise<void> {
  await page.emulateMedia({ colorScheme: scheme });
  await page.waitForFunction(
    (wanted) =>
      document.documentElement.dataset.mantineColorScheme === wanted &&
      !document.getAnimations().some((each) => each instanceof CSSTransition),
    scheme,
  );
}

async function picture(page: Page, name: string): Promise<void> {
  const directory = process.env.GATEHOUSE_TEST_PICTURES;
  if (!directory) return;
  mkdirSync(directory, { recursive: true });
  await page.screenshot({ path: join(directory, `${name}.png`), fullPage: true });
}

/**
 * What a person who can't see well, or uses no mouse, would stumble over on the page as it is now: controls without a name, fields
 * without a label, text with too little contrast (WCAG 2.2, 1.4.3), headings out of order, duplicate ids, sideways scrolling.
 */
function auditPage(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const problems: string[] = [];
    const describe = (element: Element) =>
      `<${element.tagName.toLowerCase()} class="${element.getAttribute('class') ?? ''}"> “${(element.textContent ?? '').trim().slice(0, 40)}”`;
    const isVisible = (element: Element) => {
      const box = element.getBoundingClientRect();
      return box.width > 1 && box.height > 1 && getComputedStyle(element).visibility === 'visible';
    };

    const nameOf = (element: Element): string => {
      const labelledBy = element.getAttribute('aria-labelledby');
      if (labelledBy)
        return labelledBy
          .split(' ')
          .map((id) => document.getElementById(id)?.textContent ?? '')
          .join(' ');
      const labels = 'labels' in element ? [...((element.labels as NodeListOf<HTMLElement> | null) ?? [])] : [];
      return (
        [element.getAttribute('aria-label'), ...labels.map((label) => label.textContent), element.textContent]
          .find((name) => name?.trim())
          ?.trim() ?? ''
      );
    };
    for (const element of document.querySelectorAll(
      'a[href], button, input, textarea, select, [role="button"], [role="combobox"]',
    ))
      if (isVisible(element) && nameOf(element) === '') problems.push(`has no name: ${describe(element)}`);
    for (const table of document.querySelectorAll('table'))
      if (!table.getAttribute('aria-label')) problems.push(`table without a label: ${describe(table)}`);

    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of new Set(ids.filter((each, index) => ids.indexOf(each) !== index)))
      problems.push(`id twice: ${id}`);
    const levels = [...document.querySelectorAll('h1, h2, h3, h4')]
      .filter(isVisible)
      .map(({ tagName }) => Number(tagName[1]));
    if (levels.filter((level) => level === 1).length !== 1)
      problems.push(`h1: ${levels.filter((level) => level === 1).length}`);
    if (document.querySelectorAll('main').length !== 1) problems.push('there is not exactly one main');
    if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1)
      problems.push(`the page scrolls sideways: ${document.documentElement.scrollWidth} px`);

    type Colour = [number, number, number, number];
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    if (!canvas) throw new Error('no canvas');
    const parse = (colour: string): Colour => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = (top: Colour, under: Colour): Colour => {
      const mix = (index: 0 | 1 | 2) => top[index] * top[3] + under[index] * (1 - top[3]);
      return [mix(0), mix(1), mix(2), 1];
    };
    const groundOf = (element: Element | null): Colour => {
      if (!element) return [255, 255, 255, 1];
      const own = parse(getComputedStyle(element).backgroundColor);
      return own[3] === 1 ? own : over(own, groundOf(element.parentElement));
    };
    const luminance = ([r, g, b]: Colour) => {
      const linear = (value: number) =>
        value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
      return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const seen = new Set<Element>();
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!element || seen.has(element) || !walker.currentNode.textContent?.trim() || !isVisible(element)) continue;
      seen.add(element);
      // What can't be used now need not stand out (1.4.3, inactive components).
      if (element.closest(':disabled, [data-disabled], [aria-disabled="true"]')) continue;
      const opacity = [...ancestors(element)].reduce(
        (product, each) => product * Number(getComputedStyle(each).opacity),
        1,
      );
      if (opacity < 0.1) continue;
      const ground = groundOf(element);
      const text = parse(getComputedStyle(element).color);
      const shown = over([text[0], text[1], text[2], text[3] * opacity], ground);
      const [dark = 0, light = 0] = [luminance(shown), luminance(ground)].sort((a, b) => a - b);
      const contrast = (light + 0.05) / (dark + 0.05);
      if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(2)}: ${describe(element)}`);
    }
    function* ancestors(element: Element): Iterable<Element> {
      for (let each: Element | null = element; each; each = each.parentElement) yield each;
    }
    return problems;
  });
}
