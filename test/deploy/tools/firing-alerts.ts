/** For each alert: series of half an hour, a value a minute, with which it fires, and with which it does not. */

interface Series {
  readonly series: string;
  /** As promtool writes them: `start+step x times`. */
  readonly values: string;
}

interface Case {
  readonly series: readonly Series[];
  readonly healthy: readonly Series[];
}

const TRAINER = 'job="ip-diffusion",instance="trainer"';
const one = (series: string, values: string): Series[] => [{ series, values }];

/** The same series, with other values. */
function of(series: string, firing: string, healthy: string): Case {
  return { series: one(series, firing), healthy: one(series, healthy) };
}

const ended = (state: string, reason: string): string =>
  `ip_diffusion_trainer_jobs_ended_total{${TRAINER},state="${state}",reason="${reason}"}`;
/** A series that is not there before its first job ends, ten minutes before the end. */
const LATE = '_x20 1x10';

export const FIRING: Readonly<Record<string, Case>> = {
  CommitOverdue: of(`ip_diffusion_trainer_since_commit_seconds{${TRAINER}}`, '3000+60x30', '0+60x30'),
  TrainingDiverged: {
    series: one(ended('FAILED', 'DIVERGED'), LATE),
    healthy: one(ended('SUCCEEDED', 'none'), LATE),
  },
  JobFailed: {
    series: one(ended('FAILED', 'ENGINE_OUT_OF_MEMORY'), '1x20 2x10'),
    healthy: one(ended('FAILED', 'ENGINE_OUT_OF_MEMORY'), '2x30'),
  },
  EngineCrashLoop: of(`ip_diffusion_sampler_engine_restarts_total{${TRAINER}}`, '0x20 1+1x10', '0x20 1x10'),
  SamplerBacklog: of(`ip_diffusion_sampler_calls_waiting{${TRAINER}}`, '40x30', '40x24 3x6'),
  StoreErrors: of(
    `ip_diffusion_store_calls_total{${TRAINER},operation="put",outcome="UNAVAILABLE"}`,
    '0+10x30',
    '5x30',
  ),
  StoreUnavailable: of(`ip_diffusion_trainer_store_unavailable_seconds{${TRAINER}}`, '0x20 0+60x10', '0x30'),
  ServiceDown: of(`up{${TRAINER}}`, '1x20 0x10', '1x30'),
};
