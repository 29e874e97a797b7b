namespace Delora.Tests.Ptx;

/// <summary>The types of PTX's instructions and variables.</summary>
internal enum PtxType { Pred, B8, U8, S8, B16, U16, S16, F16, Bf16, B32, U32, S32, F32, Tf32, F16x2, Bf16x2, B64, U64, S64, F64, B128 }

internal static class PtxTypes
{
    private static readonly Dictionary<string, PtxType> s_names = Enum.GetValues<PtxType>().ToDictionary(type => type.ToString().ToLowerInvariant());

    /// <summary>The type of that name (<c>f32</c>), or null.</summary>
    internal static PtxType? Parse(string name) => s_names.TryGetValue(name, out PtxType type) ? type : null;

    /// <summary>Its name in a text, for instance <c>f32</c>.</summary>
    internal static string Word(this PtxType type) => type.ToString().ToLowerInvariant();

    /// <summary>Bytes; a predicate has none.</summary>
    internal static int Size(this PtxType type) => type switch
    {
        PtxType.Pred => 0,
        <= PtxType.S8 => 1,
        <= PtxType.Bf16 => 2,
        <= PtxType.Bf16x2 => 4,
        PtxType.B128 => 16,
        _ => 8,
    };

    internal static bool IsFloat(this PtxType type) =>
        type is PtxType.F16 or PtxType.Bf16 or PtxType.F32 or PtxType.Tf32 or PtxType.F16x2 or PtxType.Bf16x2 or PtxType.F64;

    internal static bool IsSigned(this PtxType type) => type is PtxType.S8 or PtxType.S16 or PtxType.S32 or PtxType.S64;

    /// <summary>The .NET type that computes like it; untyped bits are unsigned.</summary>
    internal static Type Clr(this PtxType type) => type switch
    {
        PtxType.B8 or PtxType.U8 => typeof(byte),
        PtxType.S8 => typeof(sbyte),
        PtxType.B16 or PtxType.U16 => typeof(ushort),
        PtxType.S16 => typeof(short),
        PtxType.B32 or PtxType.U32 => typeof(uint),
        PtxType.S32 => typeof(int),
        PtxType.B64 or PtxType.U64 => typeof(ulong),
        PtxType.S64 => typeof(long),
        PtxType.F32 => typeof(float),
        PtxType.F64 => typeof(double),
        PtxType.F16 => typeof(Half),
        _ => throw new InvalidOperationException($"{type} has no type of .NET"),
    };
}
