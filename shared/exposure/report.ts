/** Results as one HTML file that needs no other: pictures are in it as SVG. */
import type { Finding, MeasureResult, NamedRow } from './result.js';
import { captionOf, pictureOf } from './pictures.js';

export interface ReportFacts {
  readonly title: string;
  /** What was measured: model, checkpoint, weights, data, each with its name. */
  readonly facts: readonly (readonly [name: string, value: string])[];
}

const STYLE = `body{font:15px/1.5 Inter,system-ui,sans-serif;color:#30343c;max-width:960px;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #d8dbe2;padding:.3em .7em;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}h2{margin-top:2em}svg{max-width:100%;height:auto}p.note{color:#5a6470}
.rows td{padding:2px}.rows img{height:48px;image-rendering:pixelated;display:block}`;

/** The whole page. Everything that comes from outside is escaped. */
export async function reportHtml(
  { title, facts }: ReportFacts,
  results: readonly MeasureResult[],
): Promise<string> {
  const sections = [];
  for (const result of results) sections.push(await sectionOf(result));
  const rows = facts.map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(title)}</h1>
<table>${rows.join('')}</table>
${sections.join('\n')}
</body></html>
`;
}

async function sectionOf(result: MeasureResult): Promise<string> {
  const caption = captionOf(result);
  const pictures = [];
  for (const figure of result.figures) pictures.push(await pictureOf(figure, caption).svg());
  const notes = [...caption, ...result.notes].map((note) => `<p class="note">${escaped(note)}</p>`);
  return `<h2>${escaped(result.measure)}</h2>
<p>${escaped(result.help)}.</p>
${findingsTable(result.findings)}
${pictures.join('\n')}
${rowsTable(result.pictures ?? [])}
${notes.join('\n')}`;
}

function findingsTable(findings: readonly Finding[]): string {
  if (findings.length === 0) return '';
  const rows = findings.map(
    ({ name, value, low, high, ideal }) =>
      `<tr><td>${escaped(name)}</td><td class="n">${shown(value)}</td><td class="n">${shown(low)} to ${shown(high)}</td>` +
      `<td class="n">${ideal === undefined ? '' : shown(ideal)}</td></tr>`,
  );
  return `<table><tr><th>number</th><th>value</th><th>interval</th><th>ideal</th></tr>${rows.join('')}</table>`;
}

/** The same places of rows of one seed stand one below the other. */
function rowsTable(rows: readonly NamedRow[]): string {
  if (rows.length === 0) return '';
  const lines = rows.map(({ name, png }) => {
    const image = `<img alt="${escaped(name)}" src="data:image/png;base64,${escaped(png)}">`;
    return `<tr><th>${escaped(name)}</th><td>${image}</td></tr>`;
  });
  return `<table class="rows">${lines.join('')}</table>`;
}

/** Four digits. */
export function shown(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '-';
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
