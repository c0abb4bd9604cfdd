/** From a client's recipe to a job, once for a request_id. */

import { randomUUID } from 'node:crypto';

import { EVERYTHING, type Tenancy } from '../../shared/access/index.js';
import { canonicalJson } from '../../shared/checkpoint/index.js';
import { isEnded } from '../../shared/contract/index.js';
import type { Clock } from '../../shared/foundation/index.js';
import { resolveRecipe, type PartialRecipe, type TrainingRecipe } from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { DataSources } from './data-sources.js';
import { checkMemory } from './estimate.js';
import type { JobLocator } from './job-locator.js';
import { createRecord, findClaimed, type RequestClaim } from './job-records.js';
import { readJob } from './job-status.js';
import { addListed } from './listed-jobs.js';
import type { JobSupervisor } from './job-supervisor.js';
import type { Job, JobRecord } from './job.js';
import { namedInRequest } from './recipe-in-request.js';
import { bodySha256, requestIdViolations, requestSha256 } from './request-id.js';

export interface JobCreationOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly locator: JobLocator;
  readonly sources: DataSources;
  readonly clock: Clock;
  readonly memoryBytes: number;
  /** As `settleWarmStart`. */
  readonly settle: (recipe: TrainingRecipe, sees?: Tenancy['sees']) => Promise<TrainingRecipe>;
}

export interface JobCreation {
  /**
   * @throws DiffusionError INVALID_ARGUMENT, ALREADY_EXISTS, RESOURCE_EXHAUSTED, NOT_FOUND for a missing folder; as
   * `settleWarmStart`.
   *
   * @param by Whose job it becomes, and which models it may start from.
   */
  create(recipe: PartialRecipe, requestId: string, by?: Tenancy): Promise<Job>;
  /** The recipe that `create` would train. @throws as `create`. */
  resolve(recipe: PartialRecipe, requestId: string, by?: Tenancy): Promise<TrainingRecipe>;
}

const HEX_DIGITS = 8;
/** Of a job's id, which may have 63 with its digits. */
const MAX_NAME_IN_ID = 54;

export function jobCreation(options: JobCreationOptions): JobCreation {
  const { store, supervisor, locator, sources, clock, memoryBytes, settle } = options;
  const creating = new Map<string, Promise<Job>>();

  async function resolveUnsettled(
    recipe: PartialRecipe,
    requestId: string,
    { owner }: Tenancy,
  ): Promise<TrainingRecipe> {
    const digits = requestId === '' ? randomUUID() : requestSha256(requestId, owner);
    const resolved = namedInRequest(
      () => resolveRecipe(recipe, `${recipe.preset ?? 'demo-32'}-${digits.slice(0, HEX_DIGITS)}`),
      requestIdViolations(requestId),
    );
    checkMemory(resolved, memoryBytes);
    await sources.check(resolved);
    return resolved;
  }

  async function createClaimed(recipe: TrainingRecipe, claim: RequestClaim, by: Tenancy): Promise<Job> {
    const claimed = await findClaimed(store, claim);
    // Completed where an earlier try was interrupted.
    const make = async (): Promise<Job> => adopt(claimed ?? (await recordOf(recipe, by, claim)), claim);
    return claimed === undefined ? supervisor.withPlace(make) : make();
  }

  // A request that is repeated finds its job, even where the weights that it started from are gone.
  async function recordOf(
    unsettled: TrainingRecipe,
    { owner, sees }: Tenancy,
    claim?: RequestClaim,
  ): Promise<JobRecord> {
    const recipe = await settle(unsettled, sees);
    return {
      jobId: `${recipe.name.slice(0, MAX_NAME_IN_ID)}-${randomUUID().slice(0, HEX_DIGITS)}`,
      model: recipe.name,
      recipe,
      createdAt: new Date(clock.wallMs()).toISOString(),
      ...(owner !== undefined && { owner }),
      ...(claim !== undefined && { requestSha256: claim.requestSha256 }),
    };
  }

  // Another trainer or call may have been faster, and has the job then.
  async function adopt(wanted: JobRecord, claim?: RequestClaim): Promise<Job> {
    const record = await createRecord(store, wanted, claim);
    await addListed(store, record);
    const { jobId } = record;
    const { active, stored } = await locator.locate(jobId);
    if (active !== undefined) return active.job;
    if (isEnded(stored.status.state) || stored.etag !== undefined) return stored;
    const { state, message } = stored.status;
    return (await supervisor.take(stored, { state, message }))?.job ?? readJob(store, jobId);
  }

  return {
    async create(input, requestId, by = EVERYTHING) {
      const recipe = await resolveUnsettled(input, requestId, by);
      if (requestId === '') return supervisor.withPlace(async () => adopt(await recordOf(recipe, by)));
      const claim = {
        requestSha256: requestSha256(requestId, by.owner),
        bodySha256: bodySha256(input),
      };
      // The same request many times at once takes one place in the queue.
      const key = canonicalJson(claim);
      const shared =
        creating.get(key) ?? createClaimed(recipe, claim, by).finally(() => creating.delete(key));
      creating.set(key, shared);
      return shared;
    },
    resolve: async (recipe, requestId, by = EVERYTHING) =>
      settle(await resolveUnsettled(recipe, requestId, by), by.sees),
  };
}
