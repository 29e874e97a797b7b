using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Keeps an optimizer from moving parameters by numbers that are not finite, without anybody waiting to see them: a number on the device that is 0 as long as
/// all that were watched are finite, and NaN from then on until it is opened (0 · ∞ and 0 · NaN are NaN).
/// </summary>
internal sealed class FiniteGate : IDisposable
{
    private readonly Tensor _zero;

    internal FiniteGate(Device device)
    {
        Tensor = Tensor.Zeros([1], device.FloatType, device, "gate of the optimizer").Own();
        try
        {
            _zero = Tensor.Zeros([1], device.FloatType, device, "zero of the gate").Own();
        }
        catch
        {
            Tensor.Dispose();
            throw;
        }
    }

    /// <summary>0, or NaN where the gate is closed; [1].</summary>
    internal Tensor Tensor { get; }

    /// <summary>Opens the gate again: what follows does not ask for what was watched before.</summary>
    internal void Open() => Tensor.FillZero();

    /// <summary>Closes the gate where the only element of a tensor is not finite.</summary>
    internal void Watch(Tensor number)
    {
        using Tensor one = number.View([1]);
        ScaleKernel.Forward(one, 0, _zero);
        AddKernel.Forward(Tensor, _zero, Tensor);
    }

    public void Dispose()
    {
        Tensor.Dispose();
        _zero.Dispose();
    }
}
