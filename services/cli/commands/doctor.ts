/** `doctor`: checks the machine, the library, the store and the services. */

import { DEFAULT_ADDRESSES } from '../../../shared/rpc/index.js';
import { DEFAULT_STORE_FOLDER, STORE_PLACEHOLDER, STORE_VARIABLE } from '../../../shared/store/index.js';
import { command, type Context } from '../command.js';
import { securityOptions } from '../connect.js';
import { SAMPLER_VARIABLE, TRAINER_VARIABLE } from '../config.js';
import type { Finding } from '../doctor/finding.js';
import { checkDisk, checkNode, checkStoreOf } from '../doctor/machine.js';
import { checkNativeLibrary } from '../doctor/native-library.js';
import { checkSecurity } from '../doctor/security.js';
import { checkService } from '../doctor/services.js';
import { address, option, text } from '../options.js';

export const doctor = command({
  name: 'doctor',
  summary: 'checks the machine, the library, the store and the services',
  options: {
    trainer: option(address, `the trainer's address; ${DEFAULT_ADDRESSES.trainer} when not given`, {
      environment: TRAINER_VARIABLE,
    }),
    sampler: option(address, `the sampler's address; ${DEFAULT_ADDRESSES.sampler} when not given`, {
      environment: SAMPLER_VARIABLE,
    }),
    ...securityOptions,
    store: option(text(STORE_PLACEHOLDER), 'the store that the services use', {
      environment: STORE_VARIABLE,
    }),
  },
  examples: [
    { arguments: '', does: 'check everything' },
    { arguments: '--trainer 10.0.0.5:50061 --sampler 10.0.0.5:50062', does: 'services on another machine' },
  ],
  notes: [
    "Exit code 1 where a needed check failed. A service that doesn't run is a failed check only where its address is given.",
  ],
  run: async (
    { options: { trainer, sampler, store, ...security } },
    { terminal, settings, clock, signal },
  ) => {
    const environment =
      store === undefined ? settings.environment : { ...settings.environment, [STORE_VARIABLE]: store };
    const localFolder = store === undefined || store.includes('://') ? DEFAULT_STORE_FOLDER : store;
    // One after the other, so that each line is printed as soon as it is known.
    const checks: (() => Promise<Finding[]>)[] = [
      () => Promise.resolve([checkNode(process.versions.node)]),
      () => checkNativeLibrary(environment, clock, signal),
      async () => [await checkStoreOf(environment, signal), await checkDisk(localFolder)],
      () => Promise.resolve([checkSecurity(environment)]),
      async () => [
        await checkService('trainer', { address: trainer, security, clock, signal }),
        await checkService('sampler', { address: sampler, security, clock, signal }),
      ],
    ];
    const findings: Finding[] = [];
    for (const check of checks) {
      signal.throwIfAborted();
      for (const finding of await check()) {
        findings.push(finding);
        terminal.emit(finding);
        print(finding, terminal);
      }
    }
    const wrong = findings.filter(({ state }) => state === 'wrong').length;
    terminal.print();
    terminal.print(wrong === 0 ? 'all needed checks passed' : `${wrong} of ${findings.length} checks failed`);
    return wrong === 0 ? 0 : 1;
  },
});

function print({ name, state, text: found, remedy }: Finding, terminal: Context['terminal']): void {
  const { good, bad, dim } = terminal.style;
  const mark = { ok: good('✓'), warning: bad('!'), wrong: bad('✗'), absent: dim('–') }[state];
  terminal.print(`${mark} ${name.padEnd(14)}${found}`);
  if (remedy !== undefined) terminal.print(dim(`  ${' '.repeat(14)}${remedy}`));
}
