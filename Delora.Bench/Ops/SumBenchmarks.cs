using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Sums over everything and over rows: losses, gradient norms, bias gradients.</summary>
public class SumBenchmarks() : ReductionBenchmarks(SumKernel.Forward, SumKernel.ForwardRows, SumKernel.BackwardRows);
