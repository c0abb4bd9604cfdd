/** Operations of `shared/engine/native-operations.ts`, which no other backend of tfjs has. */
import { parseRef } from '../graph.js';
import { attribute, listed } from './rule.js';
import type { KernelCall, KernelRule, KernelRules } from './rule.js';

const groupNorm =
  (suffix: string): KernelRule =>
  (call) => {
    const op = `NativeGroupNorm${attribute<boolean>(call, 'silu') ? 'Silu' : ''}${suffix}`;
    return call.graph.add(op, listed(call), { count: { int: attribute<number>(call, 'groups') } });
  };

const heads = (call: KernelCall) => ({
  count: { int: attribute<number>(call, 'heads') },
  parts_first: { bool: attribute<boolean>(call, 'partsFirst') },
});

const attention =
  (op: string): KernelRule =>
  (call) =>
    call.graph.one(op, listed(call), heads(call));

export const nativeKernelRules: KernelRules = {
  After: ({ graph, inputs }) => {
    const { x, awaited } = inputs;
    if (x === undefined || awaited === undefined) throw new Error('wanted the inputs x and awaited');
    return graph.one('Identity', [x], {}, { controlInputs: [parseRef(awaited.ref).node] });
  },
  NativeSumOfSquares: (call) => call.graph.one('NativeSumOfSquares', listed(call)),
  NativeGroupNorm: groupNorm(''),
  NativeGroupNormGradient: groupNorm('Gradient'),
  NativeAttention: attention('NativeAttention'),
  NativeAttentionGradient: attention('NativeAttentionGradient'),
};
