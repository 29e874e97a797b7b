using System.Globalization;

namespace Delora.Kernels.Ptx;

/// <summary>The types of the operands of a matrix instruction; it adds up in float32.</summary>
internal enum MmaType
{
    /// <summary>bfloat16, <c>mma.sync.m16n8k16</c>.</summary>
    BFloat16,

    /// <summary>float16, <c>mma.sync.m16n8k16</c>.</summary>
    Float16,

    /// <summary>float32 of which the hardware takes 10 bits of fraction, <c>mma.sync.m16n8k8</c>.</summary>
    TensorFloat32,
}

// Tensor cores and what feeds them: asynchronous copies, fragments.
internal sealed partial class PtxWriter
{
    /// <summary>
    /// Copies from global to shared memory without waiting (<c>cp.async</c>). The address in both memories is a multiple of the length. Copies of 16
    /// bytes pass the first-level cache by.
    /// </summary>
    /// <param name="shared">Where to.</param>
    /// <param name="global">Where from.</param>
    /// <param name="byteLength">4, 8 or 16.</param>
    /// <param name="bytesRead">How many of them are read, the rest becomes zero; null for all.</param>
    internal void CopyAsync(PtxAddress shared, PtxAddress global, int byteLength, PtxOperand? bytesRead = null)
    {
        string instruction = byteLength == 16 ? "cp.async.cg.shared.global" : "cp.async.ca.shared.global";
        if (bytesRead is { } count) Emit(instruction, shared, global, byteLength, count);
        else Emit(instruction, shared, global, byteLength);
    }

    /// <summary>Makes the copies since the last call a group that <see cref="WaitForCopies"/> counts.</summary>
    internal void CommitCopies() => Emit("cp.async.commit_group");

    /// <summary>
    /// Waits until at most the last so many groups of this thread's copies are under way. What other threads copied is there after a <see cref="Barrier"/>.
    /// </summary>
    internal void WaitForCopies(int groupsUnderWay) => Emit("cp.async.wait_group", groupsUnderWay);

    /// <summary>
    /// Loads 1, 2 or 4 matrices of 8 rows of 16 bytes (<c>ldmatrix</c>). Lane 8·i + j gives the address of row j of matrix i, a multiple of 16; lane
    /// l gets in register i the 4 bytes at 4·(l mod 4) of row l / 4. Transposed, for numbers of 16 bits: the pair in rows 2·(l mod 4) and the next
    /// of column l / 4.
    /// </summary>
    internal void LoadMatrices(PtxAddress shared, bool transposed, params B32[] to) =>
        Emit(
            string.Create(CultureInfo.InvariantCulture, $"ldmatrix.sync.aligned.m8n8.x{to.Length}{(transposed ? ".trans" : "")}.shared.b16"),
            PtxOperand.Vector(to), shared);

    /// <summary>
    /// d += a·b for a tile of 16 × 8 that the warp holds together (<c>mma.sync</c>): d has 4 registers, a 4 and b 2. With g = lane / 4 and t = lane
    /// mod 4: d has (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1); in 16 bits a has the pairs at (g, 2t), (g+8, 2t), (g, 2t+8), (g+8, 2t+8) and b those
    /// at (2t, g), (2t+8, g); in tf32 a has (g, t), (g+8, t), (g, t+4), (g+8, t+4) and b has (t, g), (t+4, g).
    /// </summary>
    /// <remarks>PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type" and "mma.m16n8k8".</remarks>
    internal void Mma(MmaType type, F32[] d, B32[] a, B32[] b) =>
        Emit(
            type switch
            {
                MmaType.BFloat16 => "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
                MmaType.Float16 => "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32",
                _ => "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
            },
            PtxOperand.Vector(d), PtxOperand.Vector(a), PtxOperand.Vector(b), PtxOperand.Vector(d));
}
