using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>The tensors of an adapter, by PEFT's keys, wherever they come from: a file, or memory.</summary>
internal sealed class AdapterTensors
{
    private readonly Dictionary<string, (Shape Shape, Func<Device, Tensor> Read)> _tensors;

    private AdapterTensors(string source, Dictionary<string, (Shape, Func<Device, Tensor>)> tensors) => (Source, _tensors) = (source, tensors);

    /// <summary>What errors name.</summary>
    public string Source { get; }

    /// <summary>The keys, in their order.</summary>
    public IReadOnlyCollection<string> Keys => _tensors.Keys;

    /// <summary>The tensors of a file. Nothing is read yet; 16-bit numbers are widened when they are.</summary>
    public static AdapterTensors Of(SafetensorsFile file) => new(file.Path,
        file.Entries.ToDictionary(entry => entry.Name, entry => (entry.Shape, (Func<Device, Tensor>)(device => file.ReadFloat(entry.Name, device)))));

    /// <summary>Tensors in memory, which stay the caller's.</summary>
    public static AdapterTensors Of(IReadOnlyDictionary<string, Tensor> state, string source) => new(source,
        state.ToDictionary(pair => pair.Key, pair => (pair.Value.Shape, (Func<Device, Tensor>)(device => Copy(pair.Key, pair.Value, source, device)))));

    /// <summary>The same tensors with the prefix before keys that lack it: as PEFT's files have it, whatever a dictionary does.</summary>
    public AdapterTensors WithPrefix(string prefix)
    {
        var renamed = new Dictionary<string, (Shape, Func<Device, Tensor>)>();
        foreach ((string key, (Shape, Func<Device, Tensor>) tensor) in _tensors)
            if (!renamed.TryAdd(key.StartsWith(prefix, StringComparison.Ordinal) ? key : prefix + key, tensor))
                throw new DeloraFormatException(Source, key, $"is there with and without '{prefix}'.");
        return new AdapterTensors(Source, renamed);
    }

    /// <summary>Whether there is a tensor of that key.</summary>
    public bool Contains(string key) => _tensors.ContainsKey(key);

    /// <summary>A tensor's shape.</summary>
    public Shape ShapeOf(string key) => _tensors[key].Shape;

    /// <summary>A tensor in the device's floating-point type; a new one.</summary>
    /// <exception cref="DeloraFormatException">It cannot be read, or does not hold floating-point numbers.</exception>
    public Tensor Read(string key, Device device) => _tensors[key].Read(device);

    private static Tensor Copy(string key, Tensor tensor, string source, Device device)
    {
        if (!tensor.DType.IsFloatingPoint)
            throw new DeloraFormatException(source, key, $"holds {tensor.DType.Name}, not floating-point numbers.");
        Tensor copy = Tensor.CopyOf(tensor, device, key);
        if (copy.DType != device.FloatType)
        {
            Tensor wide = Tensor.Empty(copy.Shape, device.FloatType, device, key);
            CastKernel.Forward(copy, wide);
            copy.Dispose();
            copy = wide;
        }
        if (copy.ToArray<double>().All(double.IsFinite)) return copy;
        copy.Dispose();
        throw new DeloraFormatException(source, key, "holds NaN or infinity.");
    }
}
