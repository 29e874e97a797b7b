using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Autograd;

/// <summary>
/// Memory for the result of a function, or for what its backward pass needs, until it is kept: where the kernel refuses its operands, it is
/// freed at once instead of being left to the finalizer.
/// <code>
/// using var y = new Output(x.Shape, x);
/// ReluKernel.Forward(x, y);
/// tape?.Record(new ReluFunction(x, y), y);
/// return y.Keep();
/// </code>
/// </summary>
internal ref struct Output
{
    private readonly Tensor _tensor;
    private bool _kept;

    /// <summary>Memory of the element type and on the device of <paramref name="like"/>.</summary>
    internal Output(Shape shape, Tensor like, [CallerMemberName] string name = "") : this(shape, like.DType, like.Device, name)
    {
    }

    internal Output(Shape shape, DType dtype, Device device, [CallerMemberName] string name = "") =>
        _tensor = Tensor.Empty(shape, dtype, device, name);

    public static implicit operator Tensor(Output output) => output._tensor;

    /// <summary>Hands the tensor over: to the caller, or to the function that saves it.</summary>
    internal Tensor Keep()
    {
        _kept = true;
        return _tensor;
    }

    public readonly void Dispose()
    {
        if (!_kept) _tensor.Dispose();
    }
}
