/** Measurements <-> the wire: what is asked for, and what came out. */

import {
  namedRow,
  type Curve,
  type CurvePoint,
  type Figure,
  type Finding,
  type MeasureResult,
} from '../exposure/index.js';
import { at } from '../foundation/index.js';
import {
  MEASUREMENT_KINDS,
  type MeasurementContract,
  type MeasurementRequest,
  type MeasurementTask,
} from '../measuring/index.js';
import type { MeasureName } from '../quality/index.js';
import { durationFromMs, msFromDuration } from './durations.js';
import { enumCodec, precisions } from './enums.js';
import {
  FigureStyle,
  MeasurementState as WireState,
  type Curve as WireCurve,
  type ExposureMeasure,
  type Figure as WireFigure,
  type Finding as WireFinding,
  type GetMeasurementResultResponse as ResultPart,
  type MeasurementContract as WireContract,
  type MeasurementSpec,
  type MeasureResult as WireResult,
} from './generated/diffusion/measure/v1/measure.js';
import type { SamplerSettings as WireSettings } from './generated/diffusion/types/v1/sampling.js';
import { samplerSettingsFromWire, samplerSettingsToWire } from './sampler-settings.js';
import { weightsFromWire, weightsToWire } from './weights.js';

export const MEASUREMENT_STATES = ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'] as const;
export type MeasurementState = (typeof MEASUREMENT_STATES)[number];
export const measurementStates = enumCodec(WireState, MEASUREMENT_STATES);

const figureStyles = enumCodec(FigureStyle, ['lines', 'points', 'map']);

/** A result with what it is of. */
export interface MeasurementResult {
  readonly contract: MeasurementContract;
  readonly results: readonly MeasureResult[];
}

/** The result is unchecked: what is wrong with it is for its reader to say. */
export function measurementFromWire(spec: MeasurementSpec | undefined): MeasurementRequest {
  const { model = '', checkpointStep, weights, images = 0, seed = 0n, data = '', dataKind = '' } = spec ?? {};
  return {
    ...{ model, checkpointStep, images, seed, data, dataKind },
    weights: weightsFromWire(weights),
    precision: precisions.read(precisionOf(spec?.kind)) ?? 'float32',
    task: taskFromWire(spec?.kind),
  };
}

type WirePrecision = WireSettings['precision'];

function precisionOf(kind: MeasurementSpec['kind']): WirePrecision {
  if (kind?.$case === 'likelihood') return kind.value.precision;
  return kind?.value.settings?.precision ?? 0;
}

function taskFromWire(kind: MeasurementSpec['kind']): MeasurementTask | undefined {
  switch (kind?.$case) {
    case undefined:
      return undefined;
    case 'exposure': {
      const { settings, measures, resamples } = kind.value;
      const of = measures.map(({ name, settings: values }) => [name, values] as const);
      return {
        kind: 'exposure',
        sampler: samplerSettingsFromWire(settings),
        ...(measures.length > 0 && {
          measures: measures.map(({ name }) => name),
          settings: Object.fromEntries(of),
        }),
        ...(resamples > 0 && { resamples }),
      };
    }
    case 'likelihood': {
      const { steps } = kind.value;
      return { kind: 'likelihood', ...(steps !== undefined && { steps }) };
    }
    case 'quality': {
      const { settings, extractor, measures } = kind.value;
      return {
        kind: 'quality',
        sampler: samplerSettingsFromWire(settings),
        extractor: extractor === '' ? 'pixels' : extractor,
        // Unchecked: whoever reads it looks at each name.
        ...(measures.length > 0 && { measures: measures as MeasureName[] }),
      };
    }
  }
}

export function measurementToWire(request: MeasurementRequest): MeasurementSpec {
  const { model, checkpointStep, weights, images, seed, data, dataKind, task } = request;
  return {
    ...{ model, checkpointStep, images, seed, data, dataKind },
    weights: weights === undefined ? undefined : weightsToWire(weights),
    kind: task && taskToWire(task, precisions.write(request.precision)),
  };
}

function taskToWire(task: MeasurementTask, precision: WirePrecision): MeasurementSpec['kind'] {
  switch (task.kind) {
    case 'exposure': {
      const { sampler, measures, settings = {}, resamples = 0 } = task;
      const names = measures ?? Object.keys(settings);
      const value = {
        settings: { ...samplerSettingsToWire(sampler), precision },
        measures: names.map((name): ExposureMeasure => ({ name, settings: { ...settings[name] } })),
        resamples,
      };
      return { $case: 'exposure', value };
    }
    case 'likelihood':
      return { $case: 'likelihood', value: { steps: task.steps, precision } };
    case 'quality': {
      const { sampler, extractor, measures = [] } = task;
      const settings = { ...samplerSettingsToWire(sampler), precision };
      return { $case: 'quality', value: { settings, extractor, measures: [...measures] } };
    }
  }
}

/** The contract, then each measure with its figures behind it. @param inputsSha256 Over all inputs. */
export function resultToWire({ contract, results }: MeasurementResult, inputsSha256: string): ResultPart[] {
  return [
    { part: { $case: 'contract', value: contractToWire(contract, inputsSha256) } },
    ...results.flatMap((result): ResultPart[] => [
      { part: { $case: 'result', value: measureToWire(result) } },
      ...result.figures.map((figure): ResultPart => ({
        part: { $case: 'figure', value: figureToWire(figure) },
      })),
    ]),
  ];
}

/** @throws Error where the parts don't begin with a contract, as no service of ours sends them. */
export function resultFromWire(parts: readonly ResultPart[]): MeasurementResult {
  let contract: WireContract | undefined;
  const found: { readonly result: WireResult; readonly figures: WireFigure[] }[] = [];
  for (const { part } of parts) {
    switch (part?.$case) {
      case 'contract':
        contract = part.value;
        break;
      case 'result':
        found.push({ result: part.value, figures: [] });
        break;
      case 'figure':
        found.at(-1)?.figures.push(part.value);
    }
  }
  if (contract === undefined) throw new Error('a result without its contract');
  const { seed, settings } = contract;
  const context = { seed: seed.toString(), sampler: samplerSettingsFromWire(settings) };
  return {
    contract: contractFromWire(contract),
    results: found.map(({ result: { pictures, ...result }, figures }) => ({
      ...context,
      ...result,
      findings: result.findings.map(findingFromWire),
      ...(pictures.length > 0 && { pictures: pictures.map((row) => namedRow(row.name, row)) }),
      figures: figures.map(figureFromWire),
    })),
  };
}

function contractToWire(contract: MeasurementContract, inputsSha256: string): WireContract {
  const { kind, model, sampler, steps, images, seed, data, extractor, build, seconds } = contract;
  if (model === undefined) throw new Error('a measurement of no model is not for the wire');
  return {
    kind,
    model: model.name,
    checkpointStep: model.checkpointStep,
    manifestSha256: model.manifestSha256,
    weights: weightsToWire(model.weights),
    weightsSha256: model.weightsSha256,
    variant: model.variant,
    gamma: model.gamma,
    settings: {
      ...samplerSettingsToWire(sampler ?? { sampler: 'ancestral', steps }),
      precision: precisions.write(model.precision),
    },
    ...{ steps, images, seed: BigInt(seed), build, inputsSha256 },
    data: { address: data.address, images: BigInt(data.images), sha256: data.sha256 },
    extractor: extractor && { ...extractor },
    cost: durationFromMs(1000 * seconds),
  };
}

function contractFromWire(wire: WireContract): MeasurementContract {
  const { settings, steps, images, seed, data, extractor, build, cost } = wire;
  return {
    kind: MEASUREMENT_KINDS.find((kind) => kind === wire.kind) ?? 'exposure',
    model: {
      name: wire.model,
      checkpointStep: wire.checkpointStep,
      manifestSha256: wire.manifestSha256,
      weights: weightsFromWire(wire.weights) ?? 'raw',
      weightsSha256: wire.weightsSha256,
      variant: wire.variant,
      gamma: wire.gamma,
      precision: precisions.read(settings?.precision ?? 0) ?? 'float32',
    },
    sampler: samplerSettingsFromWire(settings),
    ...{ steps, images, seed: seed.toString(), build, extractor },
    data: { address: data?.address ?? '', images: Number(data?.images ?? 0), sha256: data?.sha256 ?? '' },
    seconds: cost === undefined ? 0 : msFromDuration(cost) / 1000,
  };
}

function measureToWire(result: MeasureResult): WireResult {
  const { measure, help, findings, notes, settings, images, steps, level, pictures = [] } = result;
  return {
    ...{ measure, help, images, steps, level },
    findings: findings.map((finding): WireFinding => ({ ...finding, ideal: finding.ideal })),
    notes: [...notes],
    settings: { ...settings },
    pictures: pictures.map(({ png, ...row }) => ({ ...row, png: Buffer.from(png, 'base64') })),
  };
}

function findingFromWire({ ideal, ...finding }: WireFinding): Finding {
  return { ...finding, ...(ideal !== undefined && { ideal }) };
}

function figureToWire(figure: Figure): WireFigure {
  const { name, title, x, y, ideal, curves, scatter, logarithmic = false, marks = [], map } = figure;
  const style = map === true ? 'map' : scatter === true ? 'points' : 'lines';
  return {
    ...{ name, title, x, y, ideal, logarithmic },
    style: figureStyles.write(style),
    curves: curves.map(curveToWire),
    marks: marks.map((mark) => ({ ...mark })),
  };
}

function figureFromWire({ ideal, curves, style, logarithmic, marks, ...texts }: WireFigure): Figure {
  const drawn = figureStyles.read(style);
  return {
    ...texts,
    ...(ideal !== undefined && { ideal }),
    curves: curves.map(curveFromWire),
    ...(drawn === 'points' && { scatter: true as const }),
    ...(drawn === 'map' && { map: true as const }),
    ...(logarithmic && { logarithmic: true as const }),
    ...(marks.length > 0 && { marks }),
  };
}

function curveToWire({ name, points }: Curve): WireCurve {
  const of = (key: keyof CurvePoint): number[] => points.map((point) => point[key]);
  return { name, x: of('x'), value: of('value'), low: of('low'), high: of('high') };
}

function curveFromWire({ name, x, value, low, high }: WireCurve): Curve {
  const points = x.map((place, i) => ({
    ...{ x: place, value: at(value, i), low: at(low, i), high: at(high, i) },
  }));
  return { name, points };
}
