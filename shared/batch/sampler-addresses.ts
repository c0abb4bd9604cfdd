/**
 * The samplers that an address stands for. A name may have many: behind a headless service each pod has its own IP address,
 * and a connection to the name would stay with one of them.
 */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

export interface SamplerAddress {
  /** `host:port`. */
  readonly address: string;
  /** The host's name, where `address` has an IP address of it: what the sampler's certificate is for. */
  readonly name: string | undefined;
}

/** The IP addresses of a host. */
export type Resolve = (
  host: string,
) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export const resolveHost: Resolve = (host) => lookup(host, { all: true });

/**
 * One for each IP address of a name that has several, else the address as it is. Where a name has addresses of IPv4 and of
 * IPv6, these are the same samplers twice: the family with more is taken.
 *
 * @param address `host:port`. @throws an error of the resolver.
 */
export async function samplersAt(address: string, resolve: Resolve): Promise<SamplerAddress[]> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(address) ?? [];
  const alone = [{ address, name: undefined }];
  if (host.startsWith('[') || isIP(host) !== 0) return alone;
  const found = await resolve(host);
  const of = (wanted: number): string[] => [
    ...new Set(found.filter(({ family }) => family === wanted).map(({ address: ip }) => ip)),
  ];
  const [four, six] = [of(4), of(6).map((ip) => `[${ip}]`)];
  const ips = six.length > four.length ? six : four;
  return ips.length < 2 ? alone : ips.map((ip) => ({ address: `${ip}:${port}`, name: host }));
}
