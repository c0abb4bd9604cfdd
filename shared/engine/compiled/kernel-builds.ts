/** Which of the kernels' builds a process loads. */
import { DiffusionError, processorFeatures, processorIdentity } from '../../foundation/index.js';
import type { WithoutKernels } from '../module.js';
import { KERNEL_LEVELS } from '../native-kernels/levels.js';

/** One library of kernels. */
export interface KernelBuild {
  /** A name of `KERNEL_LEVELS`, or `native`. */
  readonly level: string;
  /** Its name in the folder of the description. */
  readonly file: string;
  /** A digest of the sources, the flags and the compiler: with others, results may differ in their last bits. */
  readonly revision: string;
  /** Of a build with level `native`: the only processor that runs it. */
  readonly processor?: string;
}

/** What set-up writes beside the kernels. */
export interface KernelDescription {
  /** The best one first. */
  readonly builds: readonly KernelBuild[];
}

export interface Processor {
  readonly identity: string;
  readonly features: ReadonlySet<string>;
}

/** Chooses: unset or `on` for the best build that the processor runs, `off` for none, or a level's name. */
export const KERNELS_VARIABLE = 'IP_DIFFUSION_NATIVE_KERNELS';

export function thisProcessor(): Processor {
  return { identity: processorIdentity(), features: processorFeatures() };
}

/**
 * The build that a process with this processor loads, or why it loads none.
 * @param wanted What the variable says; "off" is not for this function.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where a level is named and can't be used: nobody who asks for
 * one wants another.
 */
export function chosenBuild(
  { builds }: KernelDescription,
  wanted: string,
  processor: Processor,
): KernelBuild | WithoutKernels {
  if (wanted !== 'on') return named(builds, wanted, processor);
  const build = builds.find((each) => unmetNeeds(each, processor) === undefined);
  if (build !== undefined) return build;
  if (builds.some(({ level }) => level === 'native'))
    return { reason: 'they were built for another processor', remedy: 'npm run setup, on this machine' };
  return {
    reason: `this processor has none of the levels that they were built for (${levelsOf(builds)})`,
    remedy: 'npm run setup, on this machine and with a C++ compiler',
  };
}

function named(builds: readonly KernelBuild[], wanted: string, processor: Processor): KernelBuild {
  const build = builds.find(({ level }) => level === wanted);
  if (build === undefined) {
    throw new DiffusionError(
      'ENGINE_START',
      `${KERNELS_VARIABLE}: wanted on, off, or a level that was built here (${levelsOf(builds)}); got "${wanted}"`,
    );
  }
  const unmet = unmetNeeds(build, processor);
  if (unmet === undefined) return build;
  throw new DiffusionError('ENGINE_START', `${KERNELS_VARIABLE} is ${wanted}, but ${unmet}`);
}

/** Why the processor can't run a build; undefined where it can. */
function unmetNeeds({ level, processor: only }: KernelBuild, processor: Processor): string | undefined {
  if (only !== undefined)
    return only === processor.identity ? undefined : 'that build is for another processor';
  const needs = KERNEL_LEVELS.find(({ name }) => name === level)?.needs;
  if (needs === undefined) return 'this version knows no such level';
  const missing = needs.filter((feature) => !processor.features.has(feature));
  return missing.length === 0 ? undefined : `this processor lacks ${missing.join(', ')}`;
}

function levelsOf(builds: readonly KernelBuild[]): string {
  return builds.map(({ level }) => level).join(', ');
}
