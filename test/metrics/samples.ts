/** Metrics as a test reads them: a strict reader of Prometheus's text format. */

const SAMPLE =
  /^([a-zA-Z_:][\w:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)+\})?) (Na[nN]|[+-]Inf|[-+\d.e]+)$/;
const ABOUT =
  /^# (?:HELP ([a-zA-Z_:][\w:]*) .+|TYPE ([a-zA-Z_:][\w:]*) (?:counter|gauge|histogram|summary))$/;

/**
 * The values of a text by their series, such as `name{label="value"}`.
 *
 * @throws Error for a line that is none of the format, a series that comes twice, or one without help and type.
 */
export function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const about: string[] = [];
  for (const line of text.split('\n').filter((each) => each !== '')) {
    if (line.startsWith('#')) {
      const [, help, type] = ABOUT.exec(line) ?? [];
      if (help === undefined && type === undefined) throw new Error(`no line of the format: ${line}`);
      about.push(line);
      continue;
    }
    const [, series, value] = SAMPLE.exec(line) ?? [];
    if (series === undefined) throw new Error(`no line of the format: ${line}`);
    if (samples.has(series)) throw new Error(`twice: ${series}`);
    const name = series.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '');
    const isKnown = about.some((each) => each.startsWith(`# TYPE ${name}`));
    if (!isKnown) throw new Error(`without a type: ${series}`);
    samples.set(series, Number(value?.replace('Inf', 'Infinity')));
  }
  return samples;
}

/** Those whose series begin so, without the buckets of histograms. */
export function startingWith(samples: ReadonlyMap<string, number>, prefix: string): Record<string, number> {
  const found = [...samples].filter(([series]) => series.startsWith(prefix) && !series.includes('_bucket{'));
  return Object.fromEntries(found);
}

/** What a service serves. */
export async function scrape(port: number | undefined): Promise<Map<string, number>> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return samplesOf(await answer.text());
}
