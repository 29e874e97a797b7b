using System.Collections.Frozen;

namespace Delora.Core;

/// <summary>The element types of the safetensors format, by the names that its files use.</summary>
internal sealed class SafetensorsDType
{
    // In the order of the format's own list: it is the order in which the official writer sorts tensors (backwards).
    private static readonly SafetensorsDType[] s_all =
    [
        new("BOOL", 8), new("F4", 4), new("F6_E2M3", 6), new("F6_E3M2", 6), new("U8", 8, Core.DType.UInt8), new("I8", 8),
        new("F8_E5M2", 8), new("F8_E4M3", 8), new("F8_E8M0", 8), new("F8_E4M3FNUZ", 8), new("F8_E5M2FNUZ", 8), new("I16", 16),
        new("U16", 16), new("F16", 16, Core.DType.Float16), new("BF16", 16, Core.DType.BFloat16), new("I32", 32, Core.DType.Int32),
        new("U32", 32), new("F32", 32, Core.DType.Float32), new("C64", 64), new("F64", 64, Core.DType.Float64),
        new("I64", 64, Core.DType.Int64), new("U64", 64),
    ];

    private static readonly FrozenDictionary<string, SafetensorsDType> s_byName = s_all.ToFrozenDictionary(dtype => dtype.Name);

    private SafetensorsDType(string name, int bits, DType? dtype = null)
    {
        Name = name;
        Bits = bits;
        DType = dtype;
    }

    internal string Name { get; }

    /// <summary>Bits of one element: the small floating-point types are packed.</summary>
    internal int Bits { get; }

    /// <summary>The type a tensor of it has; null where Delora cannot compute with it.</summary>
    internal DType? DType { get; }

    /// <summary>Position in the format's list.</summary>
    internal int Rank => Array.IndexOf(s_all, this);

    internal static SafetensorsDType? Find(string name) => s_byName.GetValueOrDefault(name);

    internal static SafetensorsDType Of(DType dtype) => s_all.First(candidate => candidate.DType == dtype);

    /// <summary>For messages: the types that can be read into tensors.</summary>
    internal static string Readable => string.Join(", ", s_all.Where(dtype => dtype.DType is not null).Select(dtype => dtype.Name));

    /// <summary>For messages: every type that may be listed.</summary>
    internal static string Known => string.Join(", ", s_all.Select(dtype => dtype.Name));
}
