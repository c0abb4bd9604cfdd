/** Where the shared cache lies. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'ava';

import { cacheFolder } from '../../shared/foundation/index.js';

test('the cache lies where it was asked for, else in the user’s cache folder', (t) => {
  t.is(cacheFolder({ IP_DIFFUSION_CACHE: 'here', XDG_CACHE_HOME: '/xdg' }, 'linux'), resolve('here'));
  t.is(cacheFolder({ XDG_CACHE_HOME: '/xdg' }, 'linux'), '/xdg/ip-diffusion');
  t.is(cacheFolder({ XDG_CACHE_HOME: '' }, 'linux'), join(homedir(), '.cache/ip-diffusion'));
  t.is(cacheFolder({}, 'darwin'), join(homedir(), 'Library/Caches/ip-diffusion'));
});
