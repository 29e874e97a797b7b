namespace Delora.Kernels;

/// <summary>Four floats that a GPU loads at once. Plain fields, which the compiler keeps in registers; arrays it would not.</summary>
internal struct GpuFloat4
{
    internal float X, Y, Z, W;

    /// <summary>a·b + c.</summary>
    internal static GpuFloat4 MultiplyAdd(float a, GpuFloat4 b, GpuFloat4 c) =>
        new() { X = a * b.X + c.X, Y = a * b.Y + c.Y, Z = a * b.Z + c.Z, W = a * b.W + c.W };
}

/// <summary>A thread's 4 × 4 sums of a product.</summary>
internal struct GpuAccumulator
{
    internal GpuFloat4 Row0, Row1, Row2, Row3;

    /// <summary>Adds the outer product of four elements of a column of the left operand and four of a row of the right one.</summary>
    internal static GpuAccumulator Add(GpuAccumulator sums, GpuFloat4 left, GpuFloat4 right) => new()
    {
        Row0 = GpuFloat4.MultiplyAdd(left.X, right, sums.Row0),
        Row1 = GpuFloat4.MultiplyAdd(left.Y, right, sums.Row1),
        Row2 = GpuFloat4.MultiplyAdd(left.Z, right, sums.Row2),
        Row3 = GpuFloat4.MultiplyAdd(left.W, right, sums.Row3),
    };
}
