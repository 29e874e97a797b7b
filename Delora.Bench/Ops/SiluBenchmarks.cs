using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x·σ(x) and dx = dy·σ(x)·(1 + x·(1 − σ(x))).</summary>
public class SiluBenchmarks() : ActivationBenchmarks(SiluKernel.Forward, SiluKernel.Backward);
