namespace Delora.Kernels.Ptx;

/// <summary>A kernel's PTX text and what a launch of it needs to know.</summary>
/// <param name="Entry">The name of its entry.</param>
/// <param name="Text">The whole text.</param>
/// <param name="Threads">Threads of a group.</param>
/// <param name="SharedBytes">Bytes of dynamic shared memory of a group.</param>
internal sealed record PtxText(string Entry, string Text, int Threads, int SharedBytes)
{
    /// <summary>The launch of so many groups.</summary>
    internal PtxLaunch Launch(int gridX, int gridY = 1, int gridZ = 1, int clusterX = 1) =>
        new(gridX, gridY, gridZ, Threads, 1, 1, SharedBytes, clusterX);
}
