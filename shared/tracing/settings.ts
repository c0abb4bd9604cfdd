/** What the environment says about traces, by OpenTelemetry's own variables. */

import {
  anyText,
  bool,
  count,
  oneOf,
  real,
  setting,
  type EnvironmentReader,
  type Setting,
} from '../foundation/index.js';

/** In the environment alone, where OpenTelemetry's other programs have them too; headers may hold a key. */
const flag = 'none';

const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const;
const BY_PARENT = 'parentbased_';

export const TRACING_SETTINGS = {
  otelEndpoint: setting(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    anyText('URL'),
    'where traces are sent by OTLP over HTTP; `/v1/traces` is added to it',
    { otherwise: 'nowhere: nothing is traced', flag },
  ),
  otelTracesEndpoint: setting(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    anyText('URL'),
    'the same without an addition; it counts before the other',
    { flag },
  ),
  otelProtocol: setting(
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    oneOf(['http/protobuf']),
    'how traces are sent; there is one way',
    { fallback: 'http/protobuf', flag },
  ),
  otelHeaders: setting(
    'OTEL_EXPORTER_OTLP_HEADERS',
    anyText('NAME=VALUE,...'),
    'headers of what is sent, such as a key of the receiver; values are percent-encoded',
    { flag },
  ),
  otelTracesHeaders: setting(
    'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
    anyText('NAME=VALUE,...'),
    'further headers, which count before the others',
    { flag },
  ),
  otelTimeout: setting(
    'OTEL_EXPORTER_OTLP_TIMEOUT',
    count(),
    'how long sending once may take, repetitions included',
    {
      fallback: 10_000,
      unit: 'ms',
      flag,
    },
  ),
  otelCertificate: setting(
    'OTEL_EXPORTER_OTLP_CERTIFICATE',
    anyText('FILE'),
    "the certificate authorities, in PEM, to trust for the receiver's certificate",
    { flag },
  ),
  otelClientCertificate: setting(
    'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE',
    anyText('FILE'),
    'a certificate, in PEM, to show to the receiver',
    { flag },
  ),
  otelClientKey: setting('OTEL_EXPORTER_OTLP_CLIENT_KEY', anyText('FILE'), "the certificate's key, in PEM", {
    flag,
  }),
  otelServiceName: setting(
    'OTEL_SERVICE_NAME',
    anyText('NAME'),
    'the name of the service in traces (`service.name`)',
    { otherwise: '`ip-diffusion-trainer` or `ip-diffusion-sampler`', flag },
  ),
  otelResourceAttributes: setting(
    'OTEL_RESOURCE_ATTRIBUTES',
    anyText('NAME=VALUE,...'),
    'further facts about the service in traces; values are percent-encoded',
    { flag },
  ),
  otelTracesExporter: setting('OTEL_TRACES_EXPORTER', oneOf(['otlp', 'none']), '`none` switches traces off', {
    fallback: 'otlp',
    flag,
  }),
  otelSdkDisabled: setting('OTEL_SDK_DISABLED', bool, '`true` switches traces off', {
    fallback: false,
    flag,
  }),
  otelTracesSampler: setting(
    'OTEL_TRACES_SAMPLER',
    oneOf([...SAMPLERS, ...SAMPLERS.map((of) => `${BY_PARENT}${of}` as const)]),
    "which traces are recorded; with `parentbased_` those that the caller records, and by the rest of the word a caller's that has none",
    { fallback: 'parentbased_always_on', flag },
  ),
  otelTracesSamplerArg: setting(
    'OTEL_TRACES_SAMPLER_ARG',
    real(0, 1),
    'the part of traces that `traceidratio` records',
    { fallback: 1, flag },
  ),
} as const;

export interface TracesSampler {
  readonly of: (typeof SAMPLERS)[number];
  /** Whether a caller's decision counts first. */
  readonly isByParent: boolean;
  readonly ratio: number;
}

export interface TracingSettings {
  /** Whole. */
  readonly url: string;
  /** May hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Paths, in PEM. */
  readonly files: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
  readonly serviceName: string | undefined;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  readonly sampler: TracesSampler;
}

/** Undefined where traces are switched off, as they are without an endpoint. */
export function tracingSettings(reader: EnvironmentReader): TracingSettings | undefined {
  const { value } = reader;
  const of = TRACING_SETTINGS;
  const url = urlOf(reader);
  const settings = {
    headers: { ...pairsOf(reader, of.otelHeaders), ...pairsOf(reader, of.otelTracesHeaders) },
    timeoutMs: value(of.otelTimeout),
    files: {
      ca: value(of.otelCertificate),
      cert: value(of.otelClientCertificate),
      key: value(of.otelClientKey),
    },
    serviceName: value(of.otelServiceName),
    resourceAttributes: pairsOf(reader, of.otelResourceAttributes),
    sampler: samplerOf(value(of.otelTracesSampler), value(of.otelTracesSamplerArg)),
  };
  value(of.otelProtocol);
  const isOff = value(of.otelSdkDisabled) || value(of.otelTracesExporter) === 'none';
  return url === undefined || isOff ? undefined : { url, ...settings };
}

function samplerOf(word: string, ratio: number): TracesSampler {
  const isByParent = word.startsWith(BY_PARENT);
  const name = isByParent ? word.slice(BY_PARENT.length) : word;
  return { of: SAMPLERS.find((each) => each === name) ?? 'always_on', isByParent, ratio };
}

function urlOf(reader: EnvironmentReader): string | undefined {
  const { otelEndpoint, otelTracesEndpoint } = TRACING_SETTINGS;
  const whole = reader.value(otelTracesEndpoint);
  const base = reader.value(otelEndpoint);
  for (const [setting, given] of [
    [otelTracesEndpoint, whole],
    [otelEndpoint, base],
  ] as const)
    if (given !== undefined && !isUrl(given))
      reader.refuse(setting, 'an address with http:// or https://', NOT_SHOWN);
  return whole ?? base?.replace(/\/?$/, '/v1/traces');
}

function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}

/** Of a value that may hold a secret. */
const NOT_SHOWN = 'a value that is not shown here';

/** As W3C Baggage writes it; a name may be that of a header. */
const PAIR = /^\s*([\w!#$%&'*+.^`|~-]{1,128})\s*=\s*([\x21-\x7e]{0,4096})\s*$/;
const CONTROL = /\p{Cc}/u;

/** `name=value,...` */
function pairsOf(reader: EnvironmentReader, setting: Setting<string>): Record<string, string> {
  const text = reader.value(setting) ?? '';
  const pairs: [string, string][] = [];
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const [, name, value] = PAIR.exec(part) ?? [];
    const decoded = value === undefined ? undefined : decode(value);
    if (name === undefined || decoded === undefined) {
      reader.refuse(setting, 'name=value with commas between them, and values percent-encoded', NOT_SHOWN);
      return {};
    }
    pairs.push([name, decoded]);
  }
  return Object.fromEntries(pairs);
}

function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    return CONTROL.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}
