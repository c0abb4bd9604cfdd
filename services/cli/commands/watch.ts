/** `watch`: follows a job. */

import { command } from '../command.js';
import { trainerConnection, withTrainer } from '../connect.js';
import { exitCodeOf, followJob } from '../follow-job.js';
import { option, text } from '../options.js';

export const watch = command({
  name: 'watch',
  summary: 'follows a job, through restarts of the trainer',
  positionals: [{ name: 'JOB', help: 'the id of a job' }],
  options: {
    csv: option(text('FILE'), 'file for the metrics'),
    output: option(text('DIR'), 'folder for the sample grids'),
    ...trainerConnection,
  },
  examples: [
    { arguments: 'JOB', does: 'show the progress of a job' },
    { arguments: 'JOB --csv metrics.csv --output grids', does: 'save its metrics and sample grids' },
    { arguments: 'JOB --json', does: 'events for a program, one in each line' },
  ],
  notes: ['Exit code: 0 where the job succeeded, 1 where it failed or was cancelled.'],
  run: async ({ options: { csv, output, ...connection }, positionals: [jobId = ''] }, context) =>
    withTrainer(connection, context.signal, async (client) =>
      exitCodeOf(await followJob(client, jobId, { csvPath: csv, gridFolder: output }, context)),
    ),
});
