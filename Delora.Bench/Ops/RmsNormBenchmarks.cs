using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x∘w/√(mean(x²) + ε), and its derivative with and without the weight's.</summary>
public class RmsNormBenchmarks() : NormalizationBenchmarks(rows => [rows], RmsNormKernel.Forward, RmsNormKernel.Backward);
