export { parseFlags, SERVICE_FLAGS } from './arguments.js';
export type { Given } from './arguments.js';
export { defaultText, fallbackText, helpSection, serviceFlagRows, settingRows } from './help-rows.js';
export type { HelpRow } from './help-rows.js';
export { allSettings, fileKey, flagName, isOpen } from './service-settings.js';
export type { ServiceSettings } from './service-settings.js';
export { readSources, settingSources } from './sources.js';
export type { Sources } from './sources.js';
