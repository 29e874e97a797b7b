using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A gated sigmoid linear unit: y = silu(gate)∘up with silu(x) = x·σ(x), σ(x) = 1/(1 + e^−x). Backward, in one pass that computes σ again:
/// dup = dy∘silu(gate), dgate = dy∘up∘(σ(gate) + silu(gate)∘(1 − σ(gate))). Any shape; NaN stays NaN, and as in
/// <see cref="SiluKernel"/> silu(−∞) is NaN.
/// </summary>
/// <remarks>Shazeer: "GLU Variants Improve Transformer", 2020, equation 6; the MLP of Llama.</remarks>
public static partial class SwiGluKernel
{
    private const string Op = "SwiGlu";

    /// <summary>y = silu(gate)∘up.</summary>
    /// <param name="gate">Any shape.</param>
    /// <param name="up">The shape of gate.</param>
    /// <param name="y">Output, the shape of gate; may be gate or up itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor gate, Tensor up, Tensor y)
    {
        Check.SameShape(Op, gate, up);
        Check.SameShape(Op, gate, y);
        Check.SameOrApart(Op, y, gate, up);
        switch (Check.Floats(Op, gate, up, y))
        {
            case CpuDevice cpu: CpuSwiGlu.Forward(cpu, gate, up, y); break;
            case GpuDevice gpu: GpuSwiGlu.Forward(gpu, gate, up, y); break;
            case ReferenceDevice: ReferenceForward(gate, up, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dgate = dy∘up∘silu′(gate) and dup = dy∘silu(gate), each where it is wanted.</summary>
    /// <param name="gate">Input of the forward pass.</param>
    /// <param name="up">Input of the forward pass.</param>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="dgate">Gradient of gate, or null; may be dy itself.</param>
    /// <param name="dup">Gradient of up, or null; may be dy itself where dgate is not.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentException">dgate and dup share memory.</exception>
    public static void Backward(Tensor gate, Tensor up, Tensor dy, Tensor? dgate, Tensor? dup)
    {
        Check.SameShape(Op, gate, up);
        Check.SameShape(Op, gate, dy);
        if (dgate is not null) Check.SameShape(Op, gate, dgate);
        if (dup is not null) Check.SameShape(Op, gate, dup);
        Device device = Check.Floats(Op, gate, up, dy, dgate, dup);
        if (dgate is not null) Check.Apart(Op, dgate, dup);
        if (dgate is not null) Check.SameOrApart(Op, dgate, gate, up, dy);
        if (dup is not null) Check.SameOrApart(Op, dup, gate, up, dy);
        switch (device)
        {
            case CpuDevice cpu: CpuSwiGlu.Backward(cpu, gate, up, dy, dgate, dup); break;
            case GpuDevice gpu: GpuSwiGlu.Backward(gpu, gate, up, dy, dgate, dup); break;
            case ReferenceDevice: ReferenceBackward(gate, up, dy, dgate, dup); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
