/** What the statistics need of a library of linear algebra. */

/** Matrices are row-major float64; those of images' features are float32, a row an image. */
export interface LinearAlgebra {
  /** The means of the columns of rows [n, columns], and the sum over rows of (row - means)^T (row - means). */
  scatter(rows: Float32Array, columns: number): Promise<Scatter>;
  /** a [rows, inner] b [inner, columns]; with `transposed`, b is given as [columns, inner]. */
  product(a: Matrix, b: Matrix, transposed?: boolean): Promise<Float64Array>;
  /** a b^T in float64 of float32 rows [n, columns] and [m, columns]: [n, m]. */
  innerProducts(a: Float32Array, b: Float32Array, columns: number): Promise<Float64Array>;
  /** Eigenvalues, ascending, and eigenvectors, a column each, of a symmetric matrix [size, size]. */
  symmetricEigen(matrix: Float64Array, size: number): Promise<SymmetricEigen>;
  /** The eigenvalues alone, which takes a fraction of the time. */
  symmetricEigenvalues(matrix: Float64Array, size: number): Promise<Float64Array>;
  /**
   * Squared Euclidean distances [n, m] of rows [n, columns] and [m, columns], in float16 as the reference's evaluator has
   * them, or in float32 where one of these isn't finite.
   */
  squaredDistances(a: Float32Array, b: Float32Array, columns: number): Promise<Float32Array>;
}

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

export interface Scatter {
  readonly means: Float64Array;
  /** [columns, columns]. */
  readonly scatter: Float64Array;
}

export interface SymmetricEigen {
  readonly values: Float64Array;
  /** [size, size]. */
  readonly vectors: Float64Array;
}
