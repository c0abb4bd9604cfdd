/** `info`: what a service is, and what holds there. */

import { serverInfoWire, samplerWire, trainerWire } from '../../../shared/contract/index.js';
import { callUnary } from '../../../shared/rpc/index.js';
import { command, type Context, type Group } from '../command.js';
import { samplerConnection, trainerConnection, withSampler, withTrainer } from '../connect.js';

const trainer = command({
  name: 'trainer',
  summary: "shows the trainer's build, engine, limits and security",
  options: trainerConnection,
  examples: [{ arguments: '--json', does: 'everything, for a program' }],
  run: ({ options }, context) =>
    withTrainer(options, context.signal, async (client) => {
      const request = trainerWire.GetServerInfoRequest.create();
      const { info } = await callUnary(client, client.getServerInfo, request, { signal: context.signal });
      return show(info, context);
    }),
});

const sampler = command({
  name: 'sampler',
  summary: "shows the sampler's build, engine, limits and security",
  options: samplerConnection,
  examples: [{ arguments: '--json', does: 'everything, for a program' }],
  run: ({ options }, context) =>
    withSampler(options, context.signal, async (client) => {
      const request = samplerWire.GetServerInfoRequest.create();
      const { info } = await callUnary(client, client.getServerInfo, request, { signal: context.signal });
      return show(info, context);
    }),
});

export const info: Group = {
  name: 'info',
  summary: 'shows what a service is: build, engine, limits, security',
  commands: [trainer, sampler],
};

function show(given: serverInfoWire.ServerInfo | undefined, { terminal }: Context): number {
  const server = given ?? serverInfoWire.ServerInfo.create();
  terminal.emit(serverInfoWire.ServerInfo.toJSON(server) as object);
  const { engine, limits } = server;
  const rows: (readonly [string, string])[] = [
    ['version', [server.version, server.commit].join(' ').trim()],
    ['protocols', server.protocols.join(', ')],
    ['started', server.startedAt?.toISOString() ?? ''],
    ['Node', server.nodeVersion],
    ['ready', server.ready ? 'yes' : `no: ${server.problems.join('; ')}`],
    ['engine', engineText(engine)],
    ['instruction sets', server.instructionSets.join(' ')],
    ['authentication', word(serverInfoWire.authenticationToJSON(server.authentication), 'AUTHENTICATION_')],
    ['TLS', server.tls ? 'yes' : 'no'],
    ['features', server.features.join(', ')],
  ];
  for (const [name, text] of rows) terminal.print(`${name.padEnd(18)}${text}`);
  terminal.print('limits');
  for (const { name, value, unit, rule } of limits)
    terminal.print(`  ${name.padEnd(28)}${rule === '' ? `${value} ${unit}`.trimEnd() : rule}`);
  return 0;
}

function engineText(engine: serverInfoWire.EngineInfo | undefined): string {
  if (engine === undefined) return 'unknown';
  const state = word(serverInfoWire.engineStateToJSON(engine.state), 'ENGINE_STATE_');
  if (engine.library === '') return [state, engine.problem].join(' ').trim();
  const { library, platform, threads, kernelLevel, withoutKernels } = engine;
  const own = kernelLevel === '' ? 'own kernels' : `own kernels for ${kernelLevel}`;
  const kernels = engine.ownKernels ? own : `without own kernels ${withoutKernels}`.trimEnd();
  return `${state}, ${library}, ${platform}, ${threads} threads, ${kernels}`;
}

function word(name: string, prefix: string): string {
  return name.replace(prefix, '').toLowerCase().replaceAll('_', ' ');
}
