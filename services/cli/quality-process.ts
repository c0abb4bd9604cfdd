/** A process that measures images: a native run can't be interrupted, but its process can be ended. */

import { openLinearAlgebra, overdueRun } from '../../shared/engine/index.js';
import { connectToParent, failureOf } from '../../shared/processes/index.js';
import {
  measureQuality,
  openExtractor,
  openImageSet,
  writeStatistics,
  type QualityResult,
} from '../../shared/quality/index.js';
import { qualityProtocol, type QualityRequest } from './measure/quality-messages.js';

const stop = new AbortController();

const port = connectToParent(
  qualityProtocol,
  (message) => {
    if (message.kind === 'stop') {
      stop.abort();
      return;
    }
    measure(message.request).then(
      (result) => {
        port.send({ kind: 'measured', result });
      },
      (error: unknown) => {
        port.send({ kind: 'failed', failure: failureOf(error) });
      },
    );
  },
  overdueRun,
);

async function measure(request: QualityRequest): Promise<QualityResult> {
  const { signal } = stop;
  const { access, cacheFolder, measures, seed, statisticsPath } = request;
  const algebra = await openLinearAlgebra();
  const extractor = await openExtractor(request.extractor, { algebra, cacheFolder });
  const samples = await openImageSet(request.samples, { access, signal });
  const reference = await openImageSet(request.reference, { access, signal });
  return measureQuality(samples, reference, extractor, {
    ...{ algebra, cacheFolder, measures, seed, signal },
    onProgress: (progress) => {
      port.send({ kind: 'progress', progress });
    },
    keepStatistics: async (statistics) => {
      if (statisticsPath !== undefined) await writeStatistics(statisticsPath, statistics, signal);
    },
  });
}
