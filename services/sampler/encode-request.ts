/** Encode's requests. */

import {
  precisions,
  samplerSettingsFromWire,
  type samplerWire,
  samplingWire,
  weightsFromWire,
} from '../../shared/contract/index.js';
import { unmet } from '../../shared/foundation/index.js';
import { checkSampleRequest, readPriority, refusal, type SampleRequest } from './sample-request.js';

/** @throws DiffusionError INVALID_ARGUMENT that names every refused field. */
export function readEncodeRequest(wire: samplerWire.EncodeRequest, maxImages: number): SampleRequest {
  const { model, checkpointStep, classes, images } = wire;
  const settings = wire.settings ?? samplingWire.SamplerSettings.create();
  const { eta = 0, timeShift, varianceNormalisation = false, waveletCorrection = 0 } = settings;
  const isDdim = [samplingWire.Sampler.SAMPLER_UNSPECIFIED, samplingWire.Sampler.SAMPLER_DDIM] as const;
  const request: SampleRequest = {
    task: 'encode',
    within: '',
    priority: readPriority(wire.priority),
    ...{ model, checkpointStep, classes },
    count: images.length,
    seed: 0n,
    firstIndex: 0,
    weights: weightsFromWire(wire.weights),
    settings: { ...samplerSettingsFromWire(settings), sampler: 'ddim' },
    precision: precisions.read(settings.precision) ?? 'float32',
    format: 'raw_float32',
    reports: { previewEverySteps: 0, trajectoryEverySteps: 0, resumeTokenEverySteps: 0 },
    start: { kind: 'image', field: 'images', images, skippedSteps: 0 },
    inpainting: undefined,
    toSeed: undefined,
    requestSha256: '',
  };
  const found = unmet((demand) => {
    checkSampleRequest(request, maxImages, demand);
    demand(
      isDdim.some((sampler) => sampler === settings.sampler),
      'settings.sampler',
      'ddim or unset, as only DDIM encodes',
      samplerSettingsFromWire(settings).sampler,
    );
    demand(eta === 0, 'settings.eta', '0 or unset, as Encode has no noise', eta);
    demand(timeShift === undefined, 'settings.time_shift', 'unset, as Encode has no time shift', timeShift);
    const wanted = '0 or unset, as Encode has none';
    demand(waveletCorrection === 0, 'settings.wavelet_correction', wanted, waveletCorrection);
    demand(!varianceNormalisation, 'settings.variance_normalisation', 'unset, as Encode has none', true);
  });
  if (found.length > 0) throw refusal(request, found);
  return request;
}
