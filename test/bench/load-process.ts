/**
 * Clients of a bench in a process of their own, so that they take no time of the one that measures. The task comes as
 * JSON in the first argument; the process prints one line of JSON with what it saw, and ends.
 */
import { setPriority } from 'node:os';

import { rudeClient, type RudeTask } from './rude-client.js';
import { samplingCalls, type CallsTask } from './sampling-calls.js';
import { manyWatchers, type WatchersTask } from './many-watchers.js';

export type LoadTask = CallsTask | RudeTask | WatchersTask;

const task = JSON.parse(process.argv[2] ?? '{}') as LoadTask;
switch (task.work) {
  case 'calls':
    console.log(JSON.stringify(await samplingCalls(task)));
    break;
  case 'rude':
    console.log(JSON.stringify(await rudeClient(task)));
    break;
  case 'watchers':
    // They stand for other machines: what they take is not to be taken from the engine.
    setPriority(19);
    await manyWatchers(task);
    break;
}
process.exit();
