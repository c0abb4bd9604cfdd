/** The builds of libtensorflow that set-up knows: which wheel of the package index holds each, and its SHA-256. */

export interface LibraryBuild {
  /** Names the build in messages and in the cache. */
  readonly name: string;
  readonly package: string;
  /** The wheel's platform tag, as `pip download --platform` takes it. */
  readonly platformTag: string;
  readonly wheel: string;
  readonly bytes: number;
  readonly sha256: string;
  /** A warning for a build that nobody has run with this project yet. */
  readonly untried?: string;
}

export const LIBRARY_VERSION = '2.21.0';

const BUILDS: Readonly<Record<string, LibraryBuild>> = {
  'linux-x64-cpu': {
    name: 'linux-x64-cpu',
    package: 'tensorflow-cpu',
    platformTag: 'manylinux_2_27_x86_64',
    wheel: 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
    bytes: 273829956,
    sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
  },
  'linux-arm64-cpu': {
    name: 'linux-arm64-cpu',
    package: 'tensorflow',
    platformTag: 'manylinux_2_27_aarch64',
    wheel: 'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_aarch64.whl',
    bytes: 281828020,
    sha256: '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c',
    untried: 'Linux on ARM is untried with this project.',
  },
  'darwin-arm64-cpu': {
    name: 'darwin-arm64-cpu',
    package: 'tensorflow',
    platformTag: 'macosx_12_0_arm64',
    wheel: 'tensorflow-2.21.0-cp311-cp311-macosx_12_0_arm64.whl',
    bytes: 223405849,
    sha256: '51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88',
    untried: 'macOS is untried with this project.',
  },
};

/** The build for a platform, or undefined where there is none. */
export function libraryBuild(platform: string, arch: string): LibraryBuild | undefined {
  return BUILDS[`${platform}-${arch}-cpu`];
}

/** File names of the two libraries on a platform. */
export function libraryFiles(platform: string): readonly [main: string, framework: string] {
  return platform === 'darwin'
    ? ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib']
    : ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
}
