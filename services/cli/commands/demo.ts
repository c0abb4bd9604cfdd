/** `demo`: everything in one command, from images to samples. */

import { join } from 'node:path';

import { imageFormats, samplerSettingsToWire, samplerWire } from '../../../shared/contract/index.js';
import { pause } from '../../../shared/foundation/index.js';
import { command, type Context } from '../command.js';
import { withSampler, withTrainer } from '../connect.js';
import { demoPlan, type DemoPlan } from '../demo/demo-plan.js';
import { saveLossChart, saveTrainingImages } from '../demo/demo-pictures.js';
import { introduce, report } from '../demo/demo-report.js';
import { startDemoServices, type DemoServices } from '../demo/demo-services.js';
import { removeDemos } from '../demo/demo-state.js';
import { trainByTheClock, type Trained } from '../demo/demo-training.js';
import { generateImages } from '../generate-images.js';
import { flag, integer, option, real, text } from '../options.js';

const DATA_FOLDER = 'demo-data';
/** Enough to see what the model is trained on. */
const TRAINING_IMAGES_SHOWN = 64;
const EXIT_SHOWS_WITHIN_MS = 500;

export const demo = command({
  name: 'demo',
  summary: 'trains a small model on real images for a few minutes and samples new images from it',
  options: {
    minutes: option(real(0.01, 100_000), 'minutes for everything; training gets four fifths', {
      fallback: 5,
    }),
    images: option(
      text('DIR|FILE|s3://BUCKET/PREFIX'),
      'your own images instead of the bundled emoji: a folder, a .tar of WebDataset or an .npz',
    ),
    imageSize: option(integer(16, 128), 'width and height, in pixels; a multiple of 4', { fallback: 32 }),
    count: option(integer(1, 1024), 'images to sample', { fallback: 64 }),
    sampleSteps: option(integer(1, 1000), 'sampling steps of each image', { fallback: 50 }),
    output: option(text('DIR'), 'folder for the pictures', { fallback: 'demo-output' }),
    fresh: flag('delete what earlier demos trained, and start again'),
  },
  examples: [
    { arguments: '', does: 'about five minutes on the bundled emoji' },
    { arguments: '--minutes 20', does: 'train the same model further: earlier runs count' },
    { arguments: '--images photos --image-size 64 --minutes 60', does: 'your own images' },
  ],
  notes: [
    `Ctrl-C ends it cleanly at any moment, and running it again resumes from there. The store and the services' logs are in
${DATA_FOLDER}/. In a checkout, \`npm run demo -- [options]\` does the set-up first.`,
    'The bundled images are Twemoji graphics (https://github.com/jdecked/twemoji), CC-BY 4.0.',
  ],
  run: async ({ options }, context) => {
    const { clock, settings, signal, terminal } = context;
    const startedMs = clock.monotonicMs();
    const plan = demoPlan(options, DATA_FOLDER);
    if (options.fresh) await removeDemos(DATA_FOLDER);
    const imageCounts = await saveTrainingImages(plan, TRAINING_IMAGES_SHOWN, context);
    terminal.print(introduce(plan, imageCounts));
    const services = await startDemoServices(DATA_FOLDER, settings.environment, signal);
    try {
      const trained = await trainAndSample(services, plan, options, context);
      terminal.emit({ event: 'done', model: plan.model, step: trained.job.step, output: plan.outputFolder });
      terminal.print();
      for (const line of await report(plan, trained, clock.monotonicMs() - startedMs)) terminal.print(line);
      return 0;
    } catch (error) {
      if (signal.aborted) terminal.print('stopped; run the same command again to resume');
      throw error;
    } finally {
      await services.stop();
    }
  },
});

async function trainAndSample(
  services: DemoServices,
  plan: DemoPlan,
  { count, sampleSteps }: { readonly count: number; readonly sampleSteps: number },
  context: Context,
): Promise<Trained> {
  const { serviceEnded } = services;
  try {
    const trained = await withTrainer({ address: services.trainerAddress }, context.signal, (client) =>
      trainByTheClock(client, plan, { ...context, serviceEnded }),
    );
    await saveLossChart(plan, trained.job.jobId);
    const files = {
      folder: join(plan.outputFolder, 'samples'),
      gridPath: join(plan.outputFolder, 'samples.png'),
    };
    await withSampler({ address: services.samplerAddress }, context.signal, (client) =>
      generateImages(client, generateRequest(plan, count, sampleSteps), files, context),
    );
    return trained;
  } catch (error) {
    // A call fails at once where its service has ended; the reason for its end comes a moment later.
    if (!context.signal.aborted) await pause(EXIT_SHOWS_WITHIN_MS, serviceEnded);
    throw serviceEnded.aborted ? serviceEnded.reason : error;
  }
}

function generateRequest({ model }: DemoPlan, count: number, steps: number): samplerWire.GenerateRequest {
  const newImages: samplerWire.NewImages = {
    ...samplerWire.NewImages.create(),
    model,
    count,
    settings: { ...samplerSettingsToWire({ sampler: 'ancestral', steps }), precision: 0 },
    format: imageFormats.write('png'),
  };
  return {
    ...samplerWire.GenerateRequest.create(),
    images: { $case: 'newImages', value: newImages },
  };
}
