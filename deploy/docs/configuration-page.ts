/** docs/configuration.md: every setting of both services, from their tables. */

import { SAMPLER_SETTINGS } from '../../services/sampler/settings.js';
import { TRAINER_SETTINGS } from '../../services/trainer/settings.js';
import type { Setting, Settings } from '../../shared/foundation/index.js';
import { fallbackText, fileKey, flagName, isOpen } from '../../shared/settings/index.js';
import { markdownTable } from './markdown-table.js';

const EXAMPLE = `store: s3://models/diffusion
s3_endpoint: https://minio.internal:9000
s3_access_key_file: /run/secrets/access-key
s3_secret_key_file: /run/secrets/secret-key
tls_cert: /etc/ip-diffusion/tls.crt
tls_key: /etc/ip-diffusion/tls.key
identities: /etc/ip-diffusion/identities.json
trainer:
  address: 0.0.0.0:50061
  data_root: [/srv/images, /srv/more-images]
sampler:
  address: 0.0.0.0:50062
  max_models: 4`;

export function configurationPage(): string {
  const page = [
    '# Configuration',
    'Each setting of a service may be given by a flag, by a variable of the environment, or in a file. A flag counts before the variable, the variable before the file, and the file before the default. An empty variable counts as unset.',
    '```sh\nnpx ip-diffusion serve trainer --config ip-diffusion.yaml --jobs 2\nnpx ip-diffusion serve trainer --config ip-diffusion.yaml --check-config\n```',
    '`--check-config` reads all settings, certificates, keys and identities, tries the store for at most 10 s, prints every problem and exits with 1, or with 0 where there is none; with `--json` it prints one line of JSON for each service. It does not ask an OpenID Connect provider and listens on no port. A problem names what was used: the flag, the variable, or the line and key of the file. Unknown flags and unknown keys are errors.',
    'The file (`--config FILE` or `IP_DIFFUSION_CONFIG`) is YAML or JSON and at most 1 MiB large. The settings of both services stand at its top, those of one service in its section; a section may also hold settings of the first kind, which then count for that service alone. A list may be written as a list. Anchors and aliases are not read. Paths are relative to the working directory.',
    `\`\`\`yaml\n${EXAMPLE}\n\`\`\``,
    'Keys of a store given as text have no flag, which would show them in the list of processes, and no place in the file: use the variable, or a file of their own.',
    'Generated from the tables of settings by `npm run docs`.',
    '## Of both services',
    table(SAMPLER_SETTINGS.shared),
    '## Of the trainer',
    table(TRAINER_SETTINGS.own),
    '## Of the sampler',
    table(SAMPLER_SETTINGS.own),
  ];
  return `${page.join('\n\n')}\n`;
}

function table(settings: Settings): string {
  return markdownTable(
    ['Setting', 'Value', 'Default', 'Meaning'],
    Object.entries(settings).map(([key, setting]) => [
      namesOf(key, setting),
      setting.kind.wanted + (setting.unit === undefined ? '' : `, in ${setting.unit}`),
      defaultOf(setting),
      setting.help,
    ]),
  );
}

function namesOf(key: string, setting: Setting<unknown>): string {
  const names = isOpen(setting) ? [flagName(key), setting.variable, fileKey(key)] : [setting.variable];
  return names.map((name) => `\`${name}\``).join('<br>');
}

function defaultOf({ fallback, otherwise }: Setting<unknown>): string {
  if (otherwise !== undefined) return otherwise;
  if (fallback === undefined) return '';
  return `\`${fallbackText(fallback)}\``;
}
