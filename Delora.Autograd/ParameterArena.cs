using Delora.Core;

namespace Delora.Autograd;

/// <summary>
/// Gathers parameters of one device in two flat buffers, all values and all gradients: the optimizer, the gradient norm and the zeroing are each
/// one pass, and gradients can be summed across devices in one call. Each parameter starts at a multiple of 16 elements (one cache line);
/// the gaps hold zeros.
/// </summary>
public sealed class ParameterArena : IDisposable
{
    private const int Alignment = 16;

    private readonly Dictionary<Parameter, long> _offsets = [];

    /// <summary>Moves the parameters, in order, into flat buffers. Their values and gradients become views.</summary>
    /// <exception cref="ArgumentException">There are none, one occurs twice, or one belongs to another arena.</exception>
    /// <exception cref="DeviceException">They lie on different devices.</exception>
    public ParameterArena(IReadOnlyList<Parameter> parameters)
    {
        if (parameters.Count == 0) throw new ArgumentException("An arena of no parameters: nothing requires a gradient.", nameof(parameters));
        Device device = parameters[0].Value.Device;
        long length = 0;
        foreach (Parameter parameter in parameters)
        {
            Check.OneDevice(nameof(ParameterArena), parameters[0].Value, parameter.Value);
            if (parameter.Arena is not null) throw new ArgumentException($"The parameter '{parameter.Name}' belongs to another arena.", nameof(parameters));
            if (!_offsets.TryAdd(parameter, length)) throw new ArgumentException($"The parameter '{parameter.Name}' occurs twice.", nameof(parameters));
            length = checked((length + parameter.Value.ElementCount + Alignment - 1) / Alignment * Alignment);
        }
        Parameters = [.. parameters];
        if (length > int.MaxValue) throw new ShapeException($"An arena of {length} elements: at most {int.MaxValue} can be trained together.");
        Shape flat = [(int)length];
        Values = Tensor.Zeros(flat, device.FloatType, device, "ParameterArena.values").Own();
        try
        {
            Gradients = Tensor.Zeros(flat, device.FloatType, device, "ParameterArena.gradients").Own();
        }
        catch
        {
            Values.Dispose();
            throw;
        }
        foreach ((Parameter parameter, long offset) in _offsets)
            parameter.Rebind(this, Values.View(parameter.Shape, offset), Gradients.View(parameter.Shape, offset));
    }

    /// <summary>The parameters, in the order of the buffers.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>All values, <c>[length]</c>.</summary>
    public Tensor Values { get; }

    /// <summary>All gradients, <c>[length]</c>.</summary>
    public Tensor Gradients { get; }

    /// <summary>First element of a parameter in both buffers.</summary>
    public long OffsetOf(Parameter parameter) => _offsets[parameter];

    /// <summary>Forgets all accumulated gradients, in one pass.</summary>
    public void ZeroGradients() => Gradients.FillZero();

    /// <summary>Gives every parameter a value of its own again and frees the buffers.</summary>
    public void Dispose()
    {
        foreach (Parameter parameter in Parameters)
            if (parameter.Arena == this && !parameter.Value.IsDisposed)
                parameter.Rebind(null, Tensor.Empty(parameter.Shape, parameter.Value.DType, parameter.Value.Device, parameter.Name), null);
        Values.Dispose();
        Gradients.Dispose();
    }
}
