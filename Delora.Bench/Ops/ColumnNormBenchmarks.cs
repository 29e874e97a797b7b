using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Euclidean norms of the columns of a weight, and their derivative.</summary>
public class ColumnNormBenchmarks() : NormBenchmarks(1, ColumnNormKernel.Forward, ColumnNormKernel.Backward);
