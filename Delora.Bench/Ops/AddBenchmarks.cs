using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = a + b: the residual connection, and the sum of two gradients.</summary>
public class AddBenchmarks() : BinaryBenchmarks(AddKernel.Forward);
