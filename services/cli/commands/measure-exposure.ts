/** `measure exposure`: exposure bias of a model, on real images. */

import { MEASURES } from '../../../shared/exposure/index.js';
import { describeValue, type Parser } from '../../../shared/foundation/index.js';
import { DEFAULT_IMAGES } from '../../../shared/measuring/index.js';
import { command } from '../command.js';
import { measuredWith, measureOptions } from '../measure/measure-options.js';
import { measureModel } from '../measure/measure-model.js';
import { integer, option, repeated, text } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { samplerOptions, samplerSettingsOf } from '../sampler-options.js';

const USAGE = 'ip-diffusion measure exposure';
const NAMES = MEASURES.map(({ name }) => name);
const MOST_RESAMPLES = 10_000;

const measureNames: Parser<string[]> = {
  placeholder: 'NAME,...',
  wanted: `one or more of ${NAMES.join(', ')}, with commas between them`,
  read: (value) => {
    const names = value.split(',').map((name) => name.trim());
    return names.every((name) => NAMES.includes(name)) ? names : undefined;
  },
};

const LISTED = MEASURES.map(({ name, help, settings }) => {
  const own = Object.entries(settings).map(
    ([key, setting]) => `${key} (${setting.default}): ${setting.help}`,
  );
  return [`${name}: ${help}`, ...own.map((line) => `  ${line}`)].join('\n');
});

export const measureExposureCommand = command({
  name: 'exposure',
  summary: 'measures exposure bias: how far sampled x_t are from those of training, and what follows from it',
  positionals: [{ name: 'MODEL', help: 'the name of a model in the store' }],
  options: {
    measures: option(measureNames, 'which measures; all when not given'),
    images: option(
      integer(1, 1_000_000),
      `trajectories; the data must have twice as many images. ${DEFAULT_IMAGES.exposure} when not given, or half of the data`,
    ),
    resamples: option(
      integer(20, MOST_RESAMPLES),
      "resamples of the intervals' bootstrap; 200 when not given",
    ),
    set: repeated(text('MEASURE.SETTING=VALUE'), 'set a setting of a measure, as listed below'),
    ...samplerOptions,
    ...measureOptions,
  },
  examples: [
    { arguments: 'MODEL --data images --steps 20 --out exposure', does: 'all measures, with a report' },
    {
      arguments: 'MODEL --measures epsilon_norm,lambda_sweep --sampler ddim --steps 20',
      does: 'which epsilon scaling the model needs with that sampler',
    },
  ],
  notes: [`Measures, and their settings with their defaults:\n${LISTED.join('\n')}`],
  run: ({ options: values, positionals: [model = ''] }, context) => {
    const { measures, images, resamples, set } = values;
    const task = {
      kind: 'exposure' as const,
      sampler: samplerSettingsOf(values, USAGE),
      settings: settingsOf(set),
      ...(measures !== undefined && { measures }),
      ...(resamples !== undefined && { resamples }),
    };
    return measureModel(
      task,
      measuredWith(model, images, values),
      { title: `Exposure bias of ${model}`, ...values },
      context,
    );
  },
});

/** `smoothness.gamma=0.15` and the like, by measure. @throws UsageError for what names no setting. */
function settingsOf(texts: readonly string[]): Record<string, Record<string, number>> {
  const settings: Record<string, Record<string, number>> = {};
  for (const each of texts) {
    const [, name = '', key = '', value = ''] = /^([^.=]+)\.([^.=]+)=(.*)$/s.exec(each) ?? [];
    const setting = MEASURES.find((measure) => measure.name === name)?.settings[key];
    if (setting === undefined)
      throw new UsageError(`--set: wanted MEASURE.SETTING=VALUE; got ${describeValue(each)}`, USAGE);
    const read = setting.kind.read(value);
    if (read === undefined)
      throw new UsageError(
        `--set ${name}.${key}: wanted ${setting.kind.wanted}; got ${describeValue(value)}`,
        USAGE,
      );
    settings[name] = { ...settings[name], [key]: read };
  }
  return settings;
}
