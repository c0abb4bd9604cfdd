/**
 * An image's health check: exits with 0 where the service in the same container says over gRPC that it is ready; with the
 * argument `live`, that its process answers. `ip-diffusion health` asks the same over a network, with its certificates.
 */
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

const WITHIN_MS = 4000;

const [name = '', kind = 'ready'] = process.argv.slice(2);
const SERVICES = {
  trainer: 'diffusion.trainer.v1.TrainerService',
  sampler: 'diffusion.sampler.v1.SamplerService',
};
const address = process.env[`IP_DIFFUSION_${name.toUpperCase()}_ADDRESS`] ?? '';
const at = address.startsWith('unix:') ? address : `127.0.0.1:${address.slice(address.lastIndexOf(':') + 1)}`;
// The check does not leave the container, so it asks for no proof of whom it reaches: only for an answer.
const speaksTls = Boolean(process.env['IP_DIFFUSION_TLS_CERT_FILE']);
const channel = speaksTls
  ? credentials.createSsl(null, null, null, { rejectUnauthorized: false })
  : credentials.createInsecure();
const Client = makeGenericClientConstructor(service, 'Health');
const client = new Client(at, channel);
client.check(
  { service: kind === 'live' ? '' : SERVICES[name] },
  { deadline: Date.now() + WITHIN_MS },
  (error, response) => {
    const status = error === null ? response.status : error.details;
    console.log(`${name} at ${at} (${kind}): ${status}`);
    process.exit(status === 'SERVING' ? 0 : 1);
  },
);
