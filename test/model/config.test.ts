/** Configurations of which no network can be built are refused by field. */
import test from 'ava';
import { unetViolations } from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { smallNetwork } from './networks.js';

test('a network that can be built has no violations', (t) => {
  t.deepEqual(unetViolations(smallNetwork), []);
  t.deepEqual(unetViolations({ ...smallNetwork, numHeadChannels: -1, numHeads: 4 }), []);
  t.deepEqual(unetViolations({ ...smallNetwork, modelChannels: 64, channelMult: [0.5, 1] }), []);
});

const refused: readonly (readonly [field: string, Partial<UNetConfig>])[] = [
  ['imageSize', { imageSize: 0 }],
  ['imageSize', { imageSize: 7.5 }],
  ['imageSize', { imageSize: 10 }],
  ['inChannels', { inChannels: -1 }],
  ['outChannels', { outChannels: 0 }],
  ['modelChannels', { modelChannels: 48 }],
  ['modelChannels', { modelChannels: NaN }],
  ['numResBlocks', { numResBlocks: 0 }],
  ['attentionResolutions', { attentionResolutions: [3] }],
  ['channelMult', { channelMult: [] }],
  ['channelMult', { channelMult: [1, 0] }],
  ['dropout', { dropout: 1 }],
  ['dropout', { dropout: NaN }],
  ['numHeads', { numHeadChannels: -1, numHeads: 3 }],
  ['numHeads', { numHeadChannels: -1, numHeads: 0 }],
  ['numHeadChannels', { numHeadChannels: 0 }],
  ['numHeadChannels', { numHeadChannels: 24 }],
  ['numClasses', { numClasses: 0 }],
];

for (const [field, changes] of refused) {
  test(`${JSON.stringify(changes)} is refused as ${field}`, (t) => {
    const violations = unetViolations({ ...smallNetwork, ...changes });
    t.true(violations.some((found) => found.field === field));
    t.true(violations.every(({ description }) => /^wanted .*; got /.test(description)));
  });
}
