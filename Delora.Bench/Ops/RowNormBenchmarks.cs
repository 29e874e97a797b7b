using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Euclidean norms of the rows of a weight, and their derivative.</summary>
public class RowNormBenchmarks() : NormBenchmarks(0, RowNormKernel.Forward, RowNormKernel.Backward);
