using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = max(x, 0) and its gradient.</summary>
public class ReluBenchmarks() : ActivationBenchmarks(ReluKernel.Forward, ReluKernel.Backward);
