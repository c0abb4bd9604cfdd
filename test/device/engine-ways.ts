/** How the engine is started on a device: its own way, and those that a card is to decide about. */
import type { PjrtSettings } from '../../shared/engine/pjrt/pjrt-engine.js';
import type { EnginePrecision } from '../../shared/engine/index.js';
import type { PeerDevice } from './peers.js';

export interface EngineWay {
  readonly name: string;
  readonly settings: Pick<PjrtSettings, 'attentionCalls' | 'flags'>;
  readonly precisions: readonly EnginePrecision[];
  /** Whether a training step has the same bits again. */
  readonly repeats: boolean;
}

const BOTH = ['float32', 'bfloat16'] as const;

const DEFAULT_WAY: EngineWay = { name: 'engine', settings: {}, precisions: BOTH, repeats: true };

const CARD_WAYS: readonly EngineWay[] = [
  {
    ...{ name: 'engine, attention of cuDNN', repeats: true },
    ...{ settings: { attentionCalls: true }, precisions: ['bfloat16'] },
  },
  {
    ...{ name: 'engine, convolutions in graphs', repeats: true, precisions: BOTH },
    settings: {
      flags: {
        xla_gpu_enable_command_buffer:
          'FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,CONDITIONAL,DYNAMIC_SLICE_FUSION,CONVOLUTION',
      },
    },
  },
  {
    // What the same bits in each run cost.
    ...{ name: 'engine, kernels by measuring', repeats: false, precisions: BOTH },
    settings: {
      flags: { xla_gpu_exclude_nondeterministic_ops: false, xla_gpu_enable_triton_gemm: true },
    },
  },
];

/** The first is the default; XLA's CPU plugin has no other. */
export function engineWays(device: PeerDevice): readonly [EngineWay, ...EngineWay[]] {
  return device === 'cpu' ? [DEFAULT_WAY] : [DEFAULT_WAY, ...CARD_WAYS];
}
