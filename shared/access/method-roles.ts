/** The one table of which role each method needs. A method that has no row here is refused. */

import { DiffusionError } from '../foundation/index.js';
import type { Identity, Role } from './identity.js';

const TRAINER = '/diffusion.trainer.v1.TrainerService';
const SAMPLER = '/diffusion.sampler.v1.SamplerService';
const MEASURE = '/diffusion.measure.v1.MeasureService';
const HEALTH = '/grpc.health.v1.Health';
const REFLECTION = 'ServerReflection/ServerReflectionInfo';

/** `open`: for everybody, without a token. */
export const METHOD_ROLES: ReadonlyMap<string, Role | 'open'> = new Map([
  // Load balancers and orchestrators ask for health and have no tokens; it says nothing of jobs or models.
  [`${HEALTH}/Check`, 'open'],
  [`${HEALTH}/Watch`, 'open'],
  [`${HEALTH}/List`, 'open'],
  [`/grpc.reflection.v1.${REFLECTION}`, 'read'],
  [`/grpc.reflection.v1alpha.${REFLECTION}`, 'read'],
  [`${TRAINER}/GetServerInfo`, 'read'],
  [`${SAMPLER}/GetServerInfo`, 'read'],
  [`${TRAINER}/GetTrainingJob`, 'read'],
  [`${TRAINER}/ListTrainingJobs`, 'read'],
  [`${TRAINER}/WatchTrainingJob`, 'read'],
  [`${TRAINER}/CreateTrainingJob`, 'train'],
  [`${TRAINER}/CancelTrainingJob`, 'train'],
  [`${TRAINER}/ResumeTrainingJob`, 'train'],
  [`${TRAINER}/DeleteTrainingJob`, 'train'],
  [`${TRAINER}/DeleteModel`, 'train'],
  [`${TRAINER}/DeleteCheckpoint`, 'train'],
  [`${SAMPLER}/ListModels`, 'read'],
  [`${SAMPLER}/GetModel`, 'read'],
  [`${SAMPLER}/ListCheckpoints`, 'read'],
  [`${SAMPLER}/GetCheckpoint`, 'read'],
  [`${SAMPLER}/ModelReady`, 'read'],
  [`${SAMPLER}/LoadModel`, 'sample'],
  [`${SAMPLER}/UnloadModel`, 'sample'],
  [`${SAMPLER}/Generate`, 'sample'],
  [`${SAMPLER}/Encode`, 'sample'],
  [`${MEASURE}/GetMeasurement`, 'read'],
  [`${MEASURE}/ListMeasurements`, 'read'],
  [`${MEASURE}/WatchMeasurement`, 'read'],
  [`${MEASURE}/GetMeasurementResult`, 'read'],
  [`${MEASURE}/CreateMeasurement`, 'sample'],
  [`${MEASURE}/CancelMeasurement`, 'sample'],
  [`${MEASURE}/DeleteMeasurement`, 'sample'],
]);

export function isOpen(method: string): boolean {
  return METHOD_ROLES.get(method) === 'open';
}

/** @throws DiffusionError PERMISSION_DENIED (reason ROLE_MISSING). */
export function requireRole(method: string, { roles }: Identity): void {
  const role = METHOD_ROLES.get(method);
  if (role === 'open') return;
  if (role !== undefined && (roles.includes(role) || roles.includes('admin'))) return;
  const text =
    role === undefined
      ? 'no role may call this method'
      : `the method needs the role ${role}, which the caller lacks`;
  throw new DiffusionError('ROLE_MISSING', text, { metadata: { role: role ?? 'none' } });
}
