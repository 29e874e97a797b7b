using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A linear layer over a frozen weight: y = x Wᵀ + bias, with an <see cref="Epilogue"/> y = f(x Wᵀ + bias) + residual, and on the way back
/// dx = dz W, where dz is the gradient of x Wᵀ + bias. x [N, in], W [out, in], y [N, out].
/// </summary>
public static partial class FrozenLinearKernel
{
    private const string Op = "FrozenLinear";

    /// <summary>y = f(x Wᵀ + bias) + residual.</summary>
    /// <param name="x">[N, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <param name="y">[N, out]; must not overlap x.</param>
    /// <param name="epilogue">f and the residual; neither unless given.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentException">An output shares memory with another operand.</exception>
    public static void Forward(Tensor x, FrozenWeight weight, Tensor? bias, Tensor y, Epilogue epilogue = default)
    {
        CheckOperand(Op, x, weight, weight.In);
        Check.HasShape(Op, y, [x.Shape[0], weight.Out]);
        if (bias is not null) Check.HasShape(Op, bias, [weight.Out]);
        Check.Apart(Op, y, x, bias);
        epilogue.CheckBeside(Op, y, x, bias);
        switch (Check.Floats(Op, x, bias, y, epilogue.Preactivation, epilogue.Residual))
        {
            case CpuDevice cpu: CpuFrozenLinear.Forward(cpu, x, (CpuFrozenWeight)weight, bias, y, epilogue); break;
            case GpuDevice gpu: GpuFrozenLinear.Forward(gpu, x, (GpuFrozenWeight)weight, bias, y, epilogue); break;
            case ReferenceDevice: ReferenceForward(x, (ReferenceFrozenWeight)weight, bias, y, epilogue); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy W, or dx += dy W.</summary>
    /// <param name="dy">[N, out]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="dx">[N, in]; must not overlap dy.</param>
    /// <param name="accumulate">Adds to dx instead of overwriting it.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentException">dx shares memory with dy.</exception>
    public static void Backward(Tensor dy, FrozenWeight weight, Tensor dx, bool accumulate = false)
    {
        CheckOperand(Op, dy, weight, weight.Out);
        Check.HasShape(Op, dx, [dy.Shape[0], weight.In]);
        Check.Apart(Op, dx, dy);
        switch (Check.Floats(Op, dy, dx))
        {
            case CpuDevice cpu: CpuFrozenLinear.Backward(cpu, dy, (CpuFrozenWeight)weight, dx, accumulate); break;
            case GpuDevice gpu: GpuFrozenLinear.Backward(gpu, dy, (GpuFrozenWeight)weight, dx, accumulate); break;
            case ReferenceDevice: ReferenceBackward(dy, (ReferenceFrozenWeight)weight, dx, accumulate); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    internal static void CheckOperand(string op, Tensor x, FrozenWeight weight, int columns)
    {
        Check.HasRank(op, x, 2);
        Check.Shapes(x.Shape[1] == columns, $"{op}: inner dimensions differ: {x.Name} {x.Shape}, weight [{weight.Out}, {weight.In}] ({x.Shape[1]} ≠ {columns})");
        if (weight.Device != x.Device)
            throw new DeviceException($"{op}: '{x.Name}' {x.Shape} lies on {x.Device.Name}, the weight [{weight.Out}, {weight.In}] on {weight.Device.Name}");
    }
}
