using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = tanh x and dx = dy·(1 − y²).</summary>
public class TanhBenchmarks() : ActivationBenchmarks(TanhKernel.Forward, TanhKernel.Backward, backwardReadsY: true);
