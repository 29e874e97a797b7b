using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = factor·x.</summary>
public class ScaleBenchmarks() : UnaryBenchmarks((x, y) => ScaleKernel.Forward(x, 0.125, y));
