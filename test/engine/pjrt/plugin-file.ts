/** The CPU plugin, where set-up has provided it: `npm run setup -- --device cpu-pjrt`. */
import { existsSync } from 'node:fs';
import { env } from 'node:process';

import anyTest from 'ava';

import { pluginFile } from '../../../shared/engine/pjrt/devices.js';
import { cacheFolder } from '../../../shared/foundation/index.js';

const file = pluginFile('cpu-pjrt', cacheFolder(env)) ?? '';

/** Absent where the plugin is: the tests are then skipped, and ava says so. */
export const CPU_PLUGIN: string | undefined = existsSync(file) ? file : undefined;

/** Every test of the plugin, or the small part of `npm test`. */
export const TEST_ALL = env['IP_DIFFUSION_TEST_PJRT'] === 'all';

/** One test of a file after another, since a device counts what it holds. Skips where the plugin is absent. */
export const test = CPU_PLUGIN === undefined ? anyTest.serial.skip : anyTest.serial;
/** Skips in `npm test` as well. */
export const testAll = CPU_PLUGIN !== undefined && TEST_ALL ? anyTest.serial : anyTest.serial.skip;
