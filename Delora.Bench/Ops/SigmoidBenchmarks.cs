using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = 1/(1 + e^−x) and dx = dy·y·(1 − y).</summary>
public class SigmoidBenchmarks() : ActivationBenchmarks(SigmoidKernel.Forward, SigmoidKernel.Backward, backwardReadsY: true);
