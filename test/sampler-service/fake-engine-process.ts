/** An engine without a network, whose behaviour is the step of the checkpoint that it is to load. */

import { writeSync } from 'node:fs';

import {
  engineProtocol,
  type FromEngine,
  type LoadMessage,
  type ToEngine,
} from '../../services/sampler/engine-process/messages.js';
import { connectToParent, type Protocol } from '../../shared/processes/index.js';
import { unetConfig } from '../../shared/recipe/index.js';
import { BEHAVIOURS } from './fake-engine.js';

// What a broken process sends is of no type.
const protocol: Protocol<ToEngine, object> = engineProtocol;
const { send } = connectToParent(protocol, (message) => {
  if (message.kind === 'load') load(message);
  else if (message.kind === 'predict') predict(message);
});
const say = (message: FromEngine): void => {
  send(message);
};

let valuesOfARow = 0;
let step = 0;

function load({ source, batchSizes }: LoadMessage): void {
  const { imageSize, outChannels } = unetConfig(source.recipe);
  valuesOfARow = imageSize ** 2 * outChannels;
  step = source.commit.step;
  switch (step) {
    case BEHAVIOURS.neverLoads:
      return;
    case BEHAVIOURS.isDamaged:
      say({
        kind: 'failed',
        error: {
          reason: 'OBJECT_DAMAGED',
          message: 'a flipped bit',
          metadata: {},
          detail: '',
        },
      });
      return;
    case BEHAVIOURS.failsToLoad:
      process.exit(3);
      break;
    case BEHAVIOURS.saysNothingWeKnow:
      send({ kind: 'hello' });
      return;
    case BEHAVIOURS.saysNull:
      // What `object` promises is not what a broken process sends.
      send(null as unknown as object);
      return;
    case BEHAVIOURS.writesJunk:
      writeSync(3, Buffer.from('no frame, and no value'));
      return;
    case BEHAVIOURS.failsWithoutAnError:
      send({ kind: 'failed' });
      return;
    case BEHAVIOURS.loadsOtherSizes:
      say({ kind: 'loaded', batchSizes: [3], slots: 0, peakBytes: 0 });
      return;
    default:
      say({ kind: 'loaded', batchSizes, slots: 0, peakBytes: 0 });
  }
}

function predict({ id, size }: Extract<ToEngine, { kind: 'predict' }>): void {
  const output = new Float32Array(size * valuesOfARow);
  switch (step) {
    case BEHAVIOURS.neverAnswers:
      return;
    case BEHAVIOURS.answersTooLittle:
      say({ kind: 'predicted', id, output: output.subarray(1) });
      return;
    case BEHAVIOURS.answersAnotherPass:
      say({ kind: 'predicted', id: id + 1000, output });
      return;
    case BEHAVIOURS.loadsTwice:
      say({ kind: 'loaded', batchSizes: [1], slots: 0, peakBytes: 0 });
      return;
    default:
      say({ kind: 'predicted', id, output });
  }
}
