/** Resuming ended jobs, once for a request_id. */

import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError, invalidArgument, violation } from '../../shared/foundation/index.js';
import { changeRecipe, type PartialRecipe, type TrainingRecipe } from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { LeaseWatch } from './job-lease.js';
import type { JobLocator } from './job-locator.js';
import { changeRecord } from './job-records.js';
import { readJob } from './job-status.js';
import type { JobSupervisor } from './job-supervisor.js';
import type { Job, JobRecord, ResumeClaim } from './job.js';
import { maskedChanges } from './masked-recipe.js';
import { namedInRequest } from './recipe-in-request.js';
import { bodySha256, requestIdViolations, sha256 } from './request-id.js';

export interface JobResumptionOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly locator: JobLocator;
  readonly leases: LeaseWatch;
}

/** What a resumption changes. */
export interface RecipeChanges {
  readonly recipe: PartialRecipe;
  /** The fields of `recipe` to take, such as `training.steps`; undefined for all that are set. */
  readonly paths: readonly string[] | undefined;
}

/**
 * @throws DiffusionError FAILED_PRECONDITION for a job that has not ended, or a field that may not change;
 * ALREADY_EXISTS where its last resumption came with the same request_id and other changes.
 */
export type ResumeJob = (jobId: string, changes: RecipeChanges, requestId: string) => Promise<Job>;

export function jobResumption({ store, supervisor, locator, leases }: JobResumptionOptions): ResumeJob {
  return async (jobId, changes, requestId) => {
    const violations = requestIdViolations(requestId);
    if (violations.length > 0) throw invalidArgument(violations);
    const claim = requestId === '' ? undefined : claimOf(changes, requestId);
    const { active, stored: found } = await locator.locate(jobId);
    const known: Job = active === undefined ? found : active.job;
    if (isSame(known.record, claim)) return known;
    if (active?.ended === false) throw stillActive(active.status.state);
    // Its end must be saved.
    await active?.save();
    return supervisor.withPlace(async () => {
      const stored = await readJob(store, jobId);
      const { status, recordEtag: etag } = stored;
      if (isSame(stored.record, claim)) return stored;
      if (!isEnded(status.state) && !leases.isOver(jobId, stored)) throw stillActive(status.state);
      const recipe = changedRecipe(stored.record.recipe, changes, status.committedStep);
      const record: JobRecord = { ...stored.record, recipe, resumed: claim };
      const taken = await supervisor.take(
        { ...stored, record },
        {
          state: 'PENDING',
          message: 'resumed; waiting for its turn',
          before: () => changeRecord(store, { record, etag }),
        },
      );
      if (taken !== undefined) return taken.job;
      // Another call resumed it meanwhile.
      throw stillActive((await readJob(store, jobId)).status.state);
    });
  };
}

function claimOf(changes: RecipeChanges, requestId: string): ResumeClaim {
  return { requestSha256: sha256(requestId), bodySha256: bodySha256(changes) };
}

/**
 * Whether the job's last resumption was the same request.
 *
 * @throws DiffusionError ALREADY_EXISTS where it had the same request_id and other changes.
 */
function isSame({ resumed }: JobRecord, claim: ResumeClaim | undefined): boolean {
  if (claim === undefined || resumed?.requestSha256 !== claim.requestSha256) return false;
  if (resumed.bodySha256 === claim.bodySha256) return true;
  throw new DiffusionError('REQUEST_ID_REUSED', 'the request_id was used before, with other changes', {
    violations: [
      violation('request_id', 'a different one for each resumption', 'one that was used with other changes'),
    ],
  });
}

function changedRecipe(
  current: TrainingRecipe,
  { recipe: given, paths }: RecipeChanges,
  committedStep: number,
): TrainingRecipe {
  const changes = paths === undefined ? given : maskedChanges(given, paths, current);
  const recipe = namedInRequest(() => changeRecipe(current, changes));
  if (recipe.training.steps >= committedStep) return recipe;
  const { field, description } = violation(
    'recipe.training.steps',
    `at least ${committedStep}, the steps that are done`,
    recipe.training.steps,
  );
  throw new DiffusionError('RECIPE_DIFFERS', `${field}: ${description}`, {
    violations: [{ field, description }],
  });
}

function stillActive(state: string): DiffusionError {
  return new DiffusionError('JOB_ACTIVE', `wanted a job that has ended; got one that is ${state}`);
}
