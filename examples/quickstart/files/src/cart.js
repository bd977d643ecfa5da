/** Lines are `{ item, unitCents, quantity }`. */
export function totalCents(lines) {
  let total = 0;
  for (let i = 0; i <= lines.length; i++) total += lines[i].unitCents * lines[i].quantity;
  return total;
}

export function addLine(lines, line) {
  lines.push(line);
  return lines;
}
