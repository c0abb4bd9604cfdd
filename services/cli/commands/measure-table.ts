/** `measure table`: the quality of models at several numbers of sampling steps, as in the paper's Tables 3 and 7. */

import { resolve } from 'node:path';

import { shown } from '../../../shared/exposure/index.js';
import { DEFAULT_IMAGES } from '../../../shared/measuring/index.js';
import { EXTRACTOR_NAMES, MEASURE_NAMES } from '../../../shared/quality/index.js';
import { DEFAULT_ADDRESSES } from '../../../shared/rpc/index.js';
import { hasScheme } from '../../../shared/store/index.js';
import { command } from '../command.js';
import { securityOptions, withMeasure } from '../connect.js';
import { SAMPLER_VARIABLE } from '../config.js';
import { leftFacts } from '../describe-job.js';
import { formatCount, table } from '../format.js';
import {
  admittedDifferences,
  comparisonOf,
  ownFacts,
  subjectOf,
  writeComparison,
  type WrittenResult,
} from '../measure/compare-results.js';
import { resultOnServer } from '../measure/follow-measurement.js';
import { address, integer, integers, oneOf, option, repeated, text, uint64 } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { MAX_STEPS, samplerSettingsOf, samplerWithoutSteps } from '../sampler-options.js';

const USAGE = 'ip-diffusion measure table';
/** Those of the paper's tables. */
const STEPS = [80, 100, 300, 1000];
const MOST_ROWS = 100;

export const measureTableCommand = command({
  name: 'table',
  summary: "measures models at several numbers of sampling steps: the paper's Tables 3 and 7",
  positionals: [{ name: 'MODEL', help: 'a model of the sampler; its newest checkpoint is measured' }],
  options: {
    with: repeated(text('MODEL'), 'another model to measure; may be given several times'),
    steps: option(integers, "numbers of sampling steps; those of the paper's tables when not given", {
      fallback: STEPS,
    }),
    images: option(integer(2, 1_000_000), 'images that are sampled for each row', {
      fallback: DEFAULT_IMAGES.quality,
    }),
    data: option(
      text('IMAGES'),
      "the reference, as `measure quality` takes it; the data set of each model's recipe when not given",
    ),
    extractor: option(
      text(`PATH|${EXTRACTOR_NAMES.join('|')}`),
      'what turns images into features: a frozen graph with the node names of classify_image_graph_def.pb, or a name',
      { fallback: 'pixels' },
    ),
    measure: repeated(oneOf(MEASURE_NAMES), 'only this measure; may be given several times'),
    seed: option(uint64, 'seed of the sampled images, the same for all models', { fallback: 0n }),
    ...samplerWithoutSteps,
    out: option(text('DIR'), 'folder for results.json, results.csv, report.html and pictures (SVG, PNG)'),
    server: option(address, "the sampler's address", {
      fallback: DEFAULT_ADDRESSES.sampler,
      environment: SAMPLER_VARIABLE,
    }),
    ...securityOptions,
  },
  examples: [
    {
      arguments: 'cifar-adm --with cifar-adm-ip --images 50000 --extractor classify_image_graph_def.pb',
      does: 'Table 3: FID and sFID of both at 80, 100, 300 and 1,000 steps',
    },
    {
      arguments: 'cifar-ddpm --with cifar-ddpm-y --with cifar-ddpm-ip --steps 20,50 --out table-7',
      does: 'Table 7 at fewer steps, with pictures of the same seeds side by side',
    },
  ],
  notes: [
    'The sampler keeps each result: the same command again measures only what is missing. Ctrl-C stops waiting;\nthe measurement continues.',
  ],
  run: async ({ options: values, positionals: [first = ''] }, context) => {
    const { server, out, extractor, measure, data, images, seed, precision } = values;
    const models = [...new Set([first, ...values.with])];
    const steps = [...new Set(values.steps)].sort((a, b) => b - a);
    if (steps.some((count) => count < 1 || count > MAX_STEPS))
      throw new UsageError(`--steps: wanted integers from 1 to ${MAX_STEPS}; got ${steps.join(',')}`, USAGE);
    if (models.length * steps.length > MOST_ROWS)
      throw new UsageError(
        `wanted at most ${MOST_ROWS} rows; got ${models.length} models x ${steps.length} numbers of steps`,
        USAGE,
      );
    const settings = samplerSettingsOf({ ...values, ...NO_STEPS }, USAGE);
    const { terminal, signal, clock } = context;
    const rows = steps.flatMap((count) => models.map(() => count));
    // Milliseconds for each sampling step, of all images. A row from the sampler's cache takes next to nothing.
    let slowest = 0;
    const compared: WrittenResult[] = [];
    // A checkpoint that is committed meanwhile is for the next table.
    const checkpoints = new Map<string, number>();
    const connection = { address: server, ca: values.ca, cert: values.cert, key: values.key };
    await withMeasure({ ...connection, tokenFile: values.tokenFile }, signal, async (client) => {
      for (const count of steps)
        for (const model of models) {
          const row = `${compared.length + 1}/${rows.length}`;
          const left = leftFacts(msLeft(rows.slice(compared.length), slowest)).map(
            (fact) => `${fact} for all rows`,
          );
          terminal.print([`row ${row}: ${model}, ${formatCount(count)} steps`, ...left].join(' · '));
          const beganMs = clock.monotonicMs();
          const task = {
            ...{ kind: 'quality' as const, sampler: { ...settings, steps: count } },
            extractor: EXTRACTOR_NAMES.includes(extractor) ? extractor : resolve(extractor),
            ...(measure.length > 0 && { measures: measure }),
          };
          const reference = data === undefined ? '' : hasScheme(data) ? data : resolve(data);
          const request = {
            ...{ model, images, seed, precision, task, data: reference, dataKind: '' },
            ...{ checkpointStep: checkpoints.get(model), weights: undefined },
          };
          const { contract, results } = await resultOnServer(client, request, context);
          if (contract.model !== undefined) checkpoints.set(model, contract.model.checkpointStep);
          slowest = Math.max(slowest, (clock.monotonicMs() - beganMs) / count);
          compared.push({ label: `${subjectOf(contract)}, ${count} steps`, contract, results });
          // Before more is sampled for a table that would be refused.
          admittedDifferences(compared, ['steps']);
        }
    });
    const notes = [...new Set(compared.flatMap(({ results }) => results.flatMap((result) => result.notes)))];
    const results = comparisonOf(compared, [...ownFacts(compared), ...notes]);
    terminal.emit({
      rows: compared.map(({ label, contract }) => ({ label, contract })),
      results: results.map((result) => ({ ...result, pictures: undefined })),
    });
    for (const line of table(rowsOf(compared))) terminal.print(line);
    terminal.print('± is 1.96 standard errors over the sampled images, not over trainings.');
    for (const note of notes) terminal.print(note);
    if (out !== undefined)
      terminal.print(
        `written: ${await writeComparison('Quality by sampling steps', out, compared, results)}`,
      );
    return 0;
  },
});

/** Of rows with these numbers of steps; undefined before any was measured. */
function msLeft(rows: readonly number[], msEachStep: number): number | undefined {
  return msEachStep === 0 ? undefined : msEachStep * rows.reduce((sum, steps) => sum + steps, 0);
}

const NO_STEPS = { steps: undefined, spacing: undefined, respacing: undefined };

/** As the paper has them: a row for each number of steps and model, a column for each measure. */
function rowsOf(compared: readonly WrittenResult[]): string[][] {
  const findingsOf = ({ results }: WrittenResult) => results.flatMap(({ findings }) => findings);
  const names = [...new Set(compared.flatMap(findingsOf).map(({ name }) => name))];
  const rows = compared.map((one) => {
    const cells = names.map((name) => {
      const found = findingsOf(one).find((each) => each.name === name);
      if (found === undefined) return '-';
      const half = (found.high - found.low) / 2;
      // Too few images have no standard error.
      return Number.isFinite(half) ? `${shown(found.value)} ± ${shown(half)}` : shown(found.value);
    });
    return [formatCount(one.contract.steps), subjectOf(one.contract), ...cells];
  });
  return [['STEPS', 'MODEL', ...names], ...rows];
}
