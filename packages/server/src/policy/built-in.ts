/** Built-in policies as they are in force: a rule says itself in which environments an operator has switched it off. */
export function switchedOff(text: string, environments: Iterable<{ name: string; off: readonly string[] }>): string {
  const where = new Map<string, string[]>();
  for (const { name, off } of environments)
    for (const rule of off) where.set(rule, [...(where.get(rule) ?? []), `Gatehouse::Environment::"${name}"`]);
  return text.replace(/@id\("([a-z-]+)"\)[^;]*;/g, (rule, id: string) => {
    const places = where.get(id)?.sort().join(', ');
    return places ? `${rule.slice(0, -1)}\nunless { principal in [${places}] };` : rule;
  });
}
