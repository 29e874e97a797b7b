using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x·Φ(x) and dx = dy·(Φ(x) + x·φ(x)).</summary>
public class GeluBenchmarks() : ActivationBenchmarks(GeluKernel.Forward, GeluKernel.Backward);
