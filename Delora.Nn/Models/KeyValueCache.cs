using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Keys and values of the tokens that a model has seen, for every layer: what a request keeps so that each new token costs one row. It
/// belongs to one request; the model itself is not changed by it.
/// </summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly (Tensor Keys, Tensor Values)[] _layers;

    /// <summary>An empty cache.</summary>
    /// <param name="layers">Layers of the model.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="capacity">The most tokens of a sequence.</param>
    /// <param name="heads">Heads of keys and values.</param>
    /// <param name="dim">Features of a head.</param>
    /// <param name="device">Where.</param>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public KeyValueCache(int layers, int batch, int capacity, int heads, int dim, Device device)
    {
        (Batch, Capacity) = (batch, capacity);
        Shape shape = [batch, capacity, heads, dim];
        _layers = new (Tensor, Tensor)[layers];
        // Owns what has been made when a later layer finds no memory.
        using var scope = new TensorScope("key/value cache");
        for (int i = 0; i < layers; i++)
            _layers[i] = (Tensor.Empty(shape, device.FloatType, device, "cached keys"), Tensor.Empty(shape, device.FloatType, device, "cached values"));
        foreach ((Tensor keys, Tensor values) in _layers)
        {
            keys.Own();
            values.Own();
        }
    }

    /// <summary>Sequences.</summary>
    public int Batch { get; }

    /// <summary>The most tokens of a sequence.</summary>
    public int Capacity { get; }

    /// <summary>Tokens seen so far.</summary>
    public int Length { get; private set; }

    /// <summary>Forgets the tokens from a position on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are fewer.</exception>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        foreach ((Tensor keys, Tensor values) in _layers)
        {
            keys.Dispose();
            values.Dispose();
        }
    }

    /// <summary>Writes the new tokens of one layer behind those that are there; <see cref="Advance"/> counts them once all layers have.</summary>
    /// <param name="layer">Number of the layer.</param>
    /// <param name="keys">[batch, seq, heads, dim]</param>
    /// <param name="values">[batch, seq, heads, dim]</param>
    /// <returns>All keys and values of the layer, [batch, capacity, heads, dim]; those behind the new tokens are unwritten.</returns>
    internal (Tensor Keys, Tensor Values) Write(int layer, Tensor keys, Tensor values)
    {
        if (Tape.Current is not null)
            throw new GradientException("A key/value cache keeps no gradients: compute without a tape, or train without a cache.");
        (Tensor allKeys, Tensor allValues) = _layers[layer];
        Write(keys, allKeys);
        Write(values, allValues);
        return (allKeys, allValues);
    }

    internal void Advance(int count) => Length += count;

    private void Write(Tensor rows, Tensor all)
    {
        int seq = rows.Shape[1], width = rows.Shape[2] * rows.Shape[3];
        for (int b = 0; b < Batch; b++)
        {
            using Tensor from = rows.View([seq, width], (long)b * seq * width);
            using Tensor to = all.View([seq, width], ((long)b * Capacity + Length) * width);
            to.CopyFrom(from);
        }
    }
}
