/** The names in a client's certificate. */

import type { PeerCertificate } from 'node:tls';

/**
 * The alternative names as Node writes them (`DNS:alice.example`, `URI:spiffe://a/b`), and the subject's common name as
 * `CN:alice`. Call it for certificates that were verified only.
 */
export function certificateNames(certificate: PeerCertificate | undefined): string[] {
  if (certificate === undefined) return [];
  const { subjectaltname = '', subject } = certificate;
  // Node quotes a name that could be taken for several ones. Nobody needs such a name.
  const alternatives = subjectaltname.includes('"') ? [] : subjectaltname.split(', ');
  const common: unknown = (subject as Partial<PeerCertificate['subject']> | undefined)?.CN;
  return [...alternatives, ...(typeof common === 'string' ? [`CN:${common}`] : [])].filter(
    (name) => name !== '',
  );
}
