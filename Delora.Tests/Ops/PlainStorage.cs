using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>What each storage makes of a weight, written again in the plainest way.</summary>
internal static class PlainStorage
{
    private static readonly float[] s_levels =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f,
        0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
        0.7229568362236023f, 1.0f,
    ];

    /// <summary>Storages that a weight can be kept in.</summary>
    public static IEnumerable<FrozenStorage> All => Enum.GetValues<FrozenStorage>().Where(storage => storage != FrozenStorage.AsStored);

    /// <summary>W̃ of W [rows, columns].</summary>
    public static float[] Of(float[] w, int columns, FrozenStorage storage) => storage switch
    {
        FrozenStorage.Float32 => w,
        FrozenStorage.BFloat16 => [.. w.Select(x => (float)(BFloat16)x)],
        FrozenStorage.Float16 => [.. w.Select(x => (float)(Half)x)],
        FrozenStorage.Int8 => [.. w.Chunk(Math.Max(1, columns)).SelectMany(Int8)],
        _ => [.. w.Chunk(Math.Max(1, columns)).SelectMany(row => row.Chunk(64)).SelectMany(Nf4)],
    };

    private static IEnumerable<float> Int8(float[] row)
    {
        float scale = row.Max(Math.Abs) / 127;
        return row.Select(x => scale == 0 ? 0 : MathF.Round(x / scale, MidpointRounding.ToEven) * scale);
    }

    private static IEnumerable<float> Nf4(float[] block)
    {
        float scale = block.Max(Math.Abs);
        return block.Select(x => scale == 0 ? 0 : s_levels.MinBy(level => Math.Abs((double)level - x / scale)) * scale);
    }
}
