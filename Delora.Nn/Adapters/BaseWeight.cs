using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>The weight that a layer had before adapters were merged into it, kept as the layer kept it: nothing of it is lost meanwhile.</summary>
internal sealed class BaseWeight : IDisposable
{
    private readonly FrozenWeight? _frozen;
    private readonly Tensor? _table;

    /// <summary>A prepared weight [out, in], which it takes over.</summary>
    internal BaseWeight(FrozenWeight frozen) => _frozen = frozen;

    /// <summary>An embedding's table [vocabulary, dim], which it takes over.</summary>
    internal BaseWeight(Tensor table) => _table = table;

    /// <summary>The prepared weight; null for a table.</summary>
    internal FrozenWeight? Frozen => _frozen;

    /// <summary>The table; null for a prepared weight.</summary>
    internal Tensor? Table => _table;

    /// <summary>A copy in the layout that the layer computes with, for the caller.</summary>
    internal Tensor CopyOwn(string name) => _frozen?.ToTensor(name) ?? Tensor.CopyOf(_table!, _table!.Device, name);

    /// <summary>Frees it.</summary>
    public void Dispose()
    {
        _frozen?.Dispose();
        _table?.Dispose();
    }
}
