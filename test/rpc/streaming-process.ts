/** A server that streams as many bytes as it is asked for, and says how large it is. Sends its port to its parent. */

import { randomBytes } from 'node:crypto';

import { serverStream, startGrpcServer, unary } from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { securityOf, SILENT } from './security.js';

const MESSAGE_BYTES = 256 * 1024;

const [, , stallTimeoutMs, slowReaderLimitMs = 'Infinity'] = process.argv;
const options = {
  report: () => undefined,
  stallTimeoutMs: Number(stallTimeoutMs),
  slowReaderLimitMs: Number(slowReaderLimitMs),
};
let largest = 0;

/** The job's id is the number of messages. */
async function* watchTrainingJob({ jobId }: trainerWire.WatchTrainingJobRequest) {
  for (let i = 0; i < Number(jobId); i++) {
    const data = randomBytes(MESSAGE_BYTES);
    const image = {
      format: 1,
      width: 1,
      height: 1,
      channels: 1,
      offsetBytes: 0n,
      totalSizeBytes: 0n,
      sha256: '',
      data,
    };
    const event = { $case: 'sampleGrid' as const, value: { step: i, image: image as never } };
    largest = Math.max(largest, process.memoryUsage.rss());
    await Promise.resolve();
    yield { position: '', event };
  }
}

/** The largest resident size while streaming, in the job's message. */
function getTrainingJob(): trainerWire.GetTrainingJobResponse {
  const job = trainerWire.TrainingJob.create({ message: `${largest} ${process.memoryUsage.rss()}` });
  largest = 0;
  return { job };
}

const { getTrainingJob: get, watchTrainingJob: watch } = trainerWire.TrainerServiceService;
const { port } = await startGrpcServer({
  ...options,
  address: '127.0.0.1:0',
  security: securityOf(),
  log: SILENT,
  service: { getTrainingJob: get, watchTrainingJob: watch },
  serviceName: 'diffusion.trainer.v1.TrainerService',
  implementation: {
    getTrainingJob: unary(getTrainingJob, options),
    watchTrainingJob: serverStream(watchTrainingJob, options),
  },
  reflection: false,
});
process.send?.(port);
process.on('disconnect', () => process.exit());
