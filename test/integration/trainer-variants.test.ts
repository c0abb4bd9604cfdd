import { join } from 'node:path';

import test from 'ava';

import { callStream, connectSampler } from '../../shared/contract/index.js';
import { storeFromSettings } from '../../shared/store/index.js';
