/** What is measured beside the engine: where it is, how it is started, and whether it computes what the engine does. */
import { spawnSync } from 'node:child_process';

import { OPTIMIZER } from '../bench/timed-training.js';
import type { Optimizer } from '../bench/timed-training.js';
import { startWorker } from '../bench/worker-process.js';
import type { EnginePrecision } from '../../shared/engine/index.js';
import { parameterSpecs } from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { unetPlan } from '../../shared/model/plan.js';
import { CHECKED } from './checks.js';
import type { Check } from './checks.js';

/** What `peerArrays` makes for the check. */
export const PEER_ARRAYS = 'peers.safetensors';

/** The network of the check: without dropout, whose random numbers are each framework's own. */
export const CHECKED_PEER: UNetConfig = { ...CHECKED, dropout: 0, numClasses: undefined };

/** Rates by which every part of a step is seen; an epsilon above gradients that are rounding alone. */
export const CHECKED_OPTIMIZER: Optimizer = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-3,
  weightDecay: 0.1,
  emaRate: 0.9,
};

interface Peer {
  /** The name of its Python package. */
  readonly name: string;
  /** Of `test/bench/peers`. */
  readonly worker: string;
  /** How it is timed, with what its worker takes for that. */
  readonly ways: (device: PeerDevice) => Readonly<Record<string, object>>;
}

export type PeerDevice = 'cuda' | 'cpu';

const PEERS: readonly Peer[] = [
  {
    ...{ name: 'torch', worker: 'pytorch_worker.py' },
    // Only tests ask for a processor, on which compiling takes minutes.
    ways: (device) =>
      device === 'cpu'
        ? { 'pytorch eager': { compile: false } }
        : {
            'pytorch compile': { compile: true },
            'pytorch compile, CUDA graphs': { compile: true, cudaGraphs: true },
          },
  },
  { name: 'jax', worker: 'jax_worker.py', ways: () => ({ jax: {} }) },
];

export interface FoundPeer extends Peer {
  readonly python: string;
  /** Its version; empty where it can't be timed. */
  readonly version: string;
  /** Why it can't be timed. */
  readonly absent?: string;
}

/** @param pythons The interpreter to ask for each package; one that has none is left out. */
export function findPeers(pythons: Readonly<Record<string, string>>): FoundPeer[] {
  return PEERS.flatMap((peer) => {
    const python = pythons[peer.name];
    if (python === undefined) return [];
    const program = `import ${peer.name}; print(${peer.name}.__version__)`;
    const { status, stdout, stderr, error } = spawnSync(python, ['-B', '-c', program], { encoding: 'utf8' });
    if (status === 0) return { ...peer, python, version: stdout.trim() };
    return { ...peer, python, version: '', absent: error?.message ?? stderr.trim().split('\n').at(-1) ?? '' };
  });
}

export interface PeerTask {
  readonly architecture: UNetConfig;
  readonly work: 'train' | 'predict';
  readonly precision: EnginePrecision;
  readonly device: PeerDevice;
  readonly tf32: boolean;
  readonly optimizer?: Optimizer;
}

export function peerCommand(peer: FoundPeer, task: PeerTask, options: object): string[] {
  const { architecture } = task;
  const described = {
    ...{ optimizer: OPTIMIZER, ...task, ...options },
    plan: unetPlan(architecture),
    parameters: parameterSpecs(architecture).map(({ name, engineShape }) => [name, engineShape]),
  };
  return [peer.python, '-B', peer.worker, JSON.stringify(described)];
}

/** Other kernels, with roundings of their own; the factors of products have 8 bits, and with these frameworks sums too. */
const LIMITS: Readonly<Record<EnginePrecision, number>> = { float32: 1e-3, bfloat16: 0.1 };

interface PeerSetting {
  readonly device: PeerDevice;
  /** The pack. */
  readonly folder: string;
  /** Ends it: what isn't done by then doesn't hold. */
  readonly signal: AbortSignal;
}

/**
 * Compares a small network's prediction, and three training steps of it, with what the CPU engine computed of them.
 *
 * @returns The peers too; those that differ with the reason why they can't be timed.
 */
export async function checkPeers(
  peers: readonly FoundPeer[],
  setting: PeerSetting,
): Promise<{ readonly checks: readonly Check[]; readonly peers: readonly FoundPeer[] }> {
  const checked = await Promise.all(
    peers.map(async (peer) => {
      if (peer.absent !== undefined) return { peer, checks: [] };
      const checks = await Promise.all(
        (['float32', 'bfloat16'] as const).map((precision) => checkOf(peer, precision, setting)),
      );
      const differs = checks.some(({ holds }) => !holds);
      return { peer: differs ? { ...peer, absent: 'it does not compute the same' } : peer, checks };
    }),
  );
  return { checks: checked.flatMap(({ checks }) => checks), peers: checked.map(({ peer }) => peer) };
}

async function checkOf(
  peer: FoundPeer,
  precision: EnginePrecision,
  { device, folder, signal }: PeerSetting,
): Promise<Check> {
  const task = {
    ...({ architecture: CHECKED_PEER, work: 'train', precision, device, tf32: false } as const),
    optimizer: CHECKED_OPTIMIZER,
  };
  const command = peerCommand(peer, task, { check: PEER_ARRAYS, compile: false });
  const limit = LIMITS[precision];
  const check = `${peer.name} in ${precision} computes what the CPU engine does`;
  try {
    const { ready } = await startWorker(peer.name, command, folder, signal);
    const [worst = '', difference = Number.NaN] =
      Object.entries(ready).sort(([, a], [, b]) => b - a)[0] ?? [];
    return { check: `${check} (${worst})`, difference, limit, holds: difference <= limit };
  } catch (error) {
    return { check: `${check}: ${String(error)}`, difference: Infinity, limit, holds: false };
  }
}
