import type { PolicyTestResult } from '@gatehouse/protocol';
import { clean } from './output.ts';

/** Results as pipelines read them: the JUnit XML that their viewers agree on. */
export function toJunit(results: readonly PolicyTestResult[]): string {
  const suites = [...Map.groupBy(results, ({ file }) => file)].map(([file, own]) => {
    const failures = own.filter(({ passed }) => !passed).length;
    const cases = own.map(({ name, tool, line, passed, problem, explanation }) => {
      const head = `    <testcase classname=${attribute(file)} name=${attribute(`${name} (${tool})`)} file=${attribute(file)} line="${line}"`;
      if (passed) return `${head}/>`;
      const body = [problem ?? '', ...explanation].map(clean).join('\n');
      return `${head}>\n      <failure message=${attribute(problem ?? '')}>${escaped(body)}</failure>\n    </testcase>`;
    });
    return `  <testsuite name=${attribute(file)} tests="${own.length}" failures="${failures}">\n${cases.join('\n')}\n  </testsuite>`;
  });
  const failed = results.filter(({ passed }) => !passed).length;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="gatehouse policy test" tests="${results.length}" failures="${failed}">\n${suites.join('\n')}\n</testsuites>\n`;
}

const attribute = (text: string) => `"${escaped(clean(text))}"`;

function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replaceAll(/[&<>"]/g, (character) => names[character] ?? character);
}
