/** What a tenant may reach: for another tenant's jobs and models it gets the answer that unknown ones have. */

import type { Tenancy } from '../../shared/access/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { bindingOf } from '../../shared/models/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { isJobId, jobNotFound, ownerOfJob } from './job-records.js';
import type { JobSupervisor } from './job-supervisor.js';

export interface Tenants {
  /** @throws DiffusionError JOB_NOT_FOUND. */
  requireJob(jobId: string, tenancy: Tenancy): Promise<void>;
  /** @throws DiffusionError MODEL_NOT_FOUND. */
  requireModel(model: string, tenancy: Tenancy): Promise<void>;
}

/** An id or a name that can't be one is for its method to refuse. */
export function tenants(store: ObjectStore, supervisor: JobSupervisor): Tenants {
  async function ownerOf(jobId: string): Promise<string | undefined> {
    const active = supervisor.find(jobId);
    if (active !== undefined) return active.job.record.owner;
    return ownerOfJob(store, jobId).catch((error: unknown) => {
      // Nobody knows whose a damaged record is.
      throw error instanceof DiffusionError && error.code === 'DATA_LOSS' ? jobNotFound(jobId) : error;
    });
  }

  return {
    async requireJob(jobId, { sees, seesAll }) {
      if (seesAll || !isJobId(jobId)) return;
      if (!sees(await ownerOf(jobId))) throw jobNotFound(jobId);
    },
    async requireModel(model, { sees, seesAll }) {
      if (seesAll || !NAME_PATTERN.test(model)) return;
      const binding = await bindingOf(store, model);
      if (binding !== undefined && !sees(binding.owner)) throw modelNotFound(model);
    },
  };
}

export function modelNotFound(model: string): DiffusionError {
  return new DiffusionError('MODEL_NOT_FOUND', `there is no model ${model}`, { metadata: { model } });
}
