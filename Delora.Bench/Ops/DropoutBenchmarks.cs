using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>y = x∘mask, with the mask made from its random numbers on the way.</summary>
public class DropoutBenchmarks() : UnaryBenchmarks((x, y) => DropoutKernel.Forward(x, s_mask, y))
{
    private static readonly DropoutMask s_mask = new(0.1f, new RandomStream(42, 3));
}
