/** A server that streams as many bytes as it is asked for, and says how large it is. Sends its port to its parent. */

import { randomBytes } from 'node:crypto';

import { Server, ServerCredentials } from '@grpc/grpc-js';

import { serverStream, unary } from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';

const MESSAGE_BYTES = 256 * 1024;

const options = { report: () => undefined, stallTimeoutMs: Number(process.argv[2]) };
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

const server = new Server();
const { getTrainingJob: get, watchTrainingJob: watch } = trainerWire.TrainerServiceService;
server.addService(
  { getTrainingJob: get, watchTrainingJob: watch },
  {
    getTrainingJob: unary(getTrainingJob, options),
    watchTrainingJob: serverStream(watchTrainingJob, options),
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => {
  process.send?.(port);
});
process.on('disconnect', () => process.exit());
