using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Means over everything and over rows.</summary>
public class MeanBenchmarks() : ReductionBenchmarks(MeanKernel.Forward, MeanKernel.ForwardRows, MeanKernel.BackwardRows);
