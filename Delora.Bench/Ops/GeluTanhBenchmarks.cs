using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = ½x(1 + tanh u) and dx = dy·(½(1 + tanh u) + ½x(1 − tanh² u)·u').</summary>
public class GeluTanhBenchmarks() : ActivationBenchmarks(GeluTanhKernel.Forward, GeluTanhKernel.Backward);
