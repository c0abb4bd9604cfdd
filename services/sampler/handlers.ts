/** SamplerService's methods. */

import type { samplerWire, serverInfoWire } from '../../shared/contract/index.js';
import { serverStream, unary, type HandlerOptions } from '../../shared/rpc/index.js';
import { samplingMethods, type SamplingOptions } from './sampling-methods.js';
import { modelMethods, type ModelMethodsOptions } from './model-methods.js';
import { loadingMethods } from './loading-methods.js';

export type SamplerHandlersOptions = HandlerOptions &
  SamplingOptions &
  ModelMethodsOptions & { readonly info: () => serverInfoWire.ServerInfo };

export function samplerHandlers(options: SamplerHandlersOptions): samplerWire.SamplerServiceServer {
  const { listModels, getModel, listCheckpoints, getCheckpoint } = modelMethods(options);
  const { loadModel, unloadModel, modelReady } = loadingMethods(options);
  const { generate, encode } = samplingMethods(options);
  return {
    getServerInfo: unary(() => ({ info: options.info() }), options),
    listModels: unary(listModels, options),
    getModel: unary(getModel, options),
    listCheckpoints: unary(listCheckpoints, options),
    getCheckpoint: unary(getCheckpoint, options),
    loadModel: unary(loadModel, options),
    unloadModel: unary(unloadModel, options),
    modelReady: unary(modelReady, options),
    generate: serverStream(generate, options, options.deadlines?.generateMs),
    encode: serverStream(encode, options, options.deadlines?.generateMs),
  };
}
