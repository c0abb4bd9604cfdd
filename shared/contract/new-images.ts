/** The part of a sampling request to which resume tokens are bound. */

import type { NewImages } from './generated/diffusion/sampler/v1/sampler.js';

/** The request without its start images, which the states of its images hold. */
export function withoutStartImages({ start, ...request }: NewImages): NewImages {
  switch (start?.$case) {
    case undefined:
      return { ...request, start };
    case 'startImages':
      return { ...request, start: { $case: 'startImages', value: { ...start.value, images: [] } } };
    case 'startLatents':
      return { ...request, start: { $case: 'startLatents', value: { latents: [] } } };
  }
}
