using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = a∘b: a gate.</summary>
public class MultiplyBenchmarks() : BinaryBenchmarks(MultiplyKernel.Forward);
