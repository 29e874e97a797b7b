using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = (x − mean)/√(variance + ε)∘w, and its derivative with and without the weight's.</summary>
public class LayerNormBenchmarks() : NormalizationBenchmarks(
    rows => [3, rows], (x, weight, y, statistics, epsilon) => LayerNormKernel.Forward(x, weight, null, y, statistics, epsilon),
    LayerNormKernel.Backward);
