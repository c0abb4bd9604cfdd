/** sharp as this process may use it: three loaders, one thread an image, no cache. */
import sharp from 'sharp';

// Process-wide: whatever else loads sharp here is bound by it too.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadPng', 'VipsForeignLoadJpeg', 'VipsForeignLoadWebp'] });
sharp.concurrency(1);
sharp.cache(false);

export { sharp };

/** The versions of the libraries that decide what pixels come out; part of a cache's key, not of a data set's identity. */
export const decoderVersions = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
