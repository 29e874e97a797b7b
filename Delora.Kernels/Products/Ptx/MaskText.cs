using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>What a dropout mask lies on in a product.</summary>
internal enum ProductMask
{
    /// <summary>The left operand, float32: h = x̃ A'ᵀ.</summary>
    Left,

    /// <summary>The right operand, float32: dA' = vᵀ x̃.</summary>
    Right,

    /// <summary>The product of the branch, in float32 arithmetic: dx = g W + mask ∘ (v A').</summary>
    Branch,
}

/// <summary>
/// Writes a dropout mask into a text: the parameters of a <see cref="DropoutMask"/>, and factors for four neighbors at a time, which one block of <see cref="Philox"/>
/// has, or two. The same factors as on every device.
/// </summary>
internal sealed class MaskText
{
    /// <summary>Elements of a block.</summary>
    internal const int Together = 4;

    private readonly PtxWriter _w;
    private readonly B32 _keyLow, _keyHigh, _threshold;
    private readonly B64 _offset;
    private readonly F32 _scale;
    private readonly Pred _isAligned;

    /// <summary>The next parameters, as <see cref="MaskArguments"/> has them.</summary>
    /// <param name="w">The kernel.</param>
    /// <param name="rowLength">The length of the rows that the mask lies on.</param>
    internal MaskText(PtxWriter w, B32 rowLength)
    {
        _w = w;
        B64 start = w.Pointer("mask_start", sizeof(ulong));
        (B64 seed, _offset) = (w.LongParameter("seed"), w.LongParameter("mask_offset"));
        (_threshold, _scale) = (w.Parameter("threshold"), w.FloatParameter("mask_scale"));
        (_keyLow, _keyHigh) = (w.New<B32>("key_low"), w.New<B32>("key_high"));
        w.Emit("mov.b64", PtxOperand.Vector(_keyLow, _keyHigh), seed);
        using (w.If(!start.Is(0L), "start"))
        {
            B64 moved = w.New<B64>("moved");
            w.LoadConstant(start.At(), moved);
            w.Increase(_offset, moved);
        }
        _isAligned = ((w.Low(_offset) | rowLength) & (Together - 1)).Is(0).As("is_aligned");
    }

    /// <summary>The factors of four neighbors in a row.</summary>
    /// <param name="element">The number of the first, a multiple of four where rows have a multiple of that.</param>
    internal F32[] Factors(B64 element)
    {
        B64 at = _offset + element, block = _w.Result<B64>("shr.u64", at, 2);
        B32[] words = Block(block);
        using (_w.If(!_isAligned, "neighbors"))
        using (_w.Scope("Four neighbors that two blocks have"))
        {
            B32[] all = [.. words, .. Block(block + 1)];
            B32 further = _w.Low(at) & (Together - 1);
            Pred one = (further & 1) > 0, two = (further & 2) > 0;
            B32[] moved = [.. Enumerable.Range(0, Together + 2).Select(i => _w.Select(one, all[i + 1], all[i]))];
            for (int i = 0; i < Together; i++) _w.Set(words[i], _w.Select(two, moved[i + 2], moved[i]));
        }
        return [.. words.Select(word => _w.SelectFloat(_w.Result<Pred>("setp.ge.u32", word, _threshold), _scale, 0f))];
    }

    /// <summary>The four words of a block; <see cref="Philox.Rounds"/>.</summary>
    private B32[] Block(B64 number)
    {
        B32[] counter = _w.New<B32>("counter", Together);
        _w.Emit("mov.b64", PtxOperand.Vector(counter[0], counter[1]), number);
        _w.Set(counter[2], 0);
        _w.Set(counter[3], 0);
        using (_w.Scope("Ten rounds of Philox"))
        {
            B32 low = (_keyLow + 0).As("round_key_low"), high = (_keyHigh + 0).As("round_key_high"), rounds = _w.Constant(Philox.RoundCount).As("rounds");
            B32[] product0 = _w.New<B32>("first", 2), product1 = _w.New<B32>("second", 2);
            _w.Loop("rounds", () =>
            {
                _w.Emit("mov.b64", PtxOperand.Vector(product0), _w.Result<B64>("mul.wide.u32", counter[0], (long)Philox.Multiplier0));
                _w.Emit("mov.b64", PtxOperand.Vector(product1), _w.Result<B64>("mul.wide.u32", counter[2], (long)Philox.Multiplier1));
                _w.Set(counter[0], product1[1] ^ counter[1] ^ low);
                _w.Set(counter[1], product1[0]);
                _w.Set(counter[2], product0[1] ^ counter[3] ^ high);
                _w.Set(counter[3], product0[0]);
                _w.Increase(low, unchecked((int)Philox.Weyl0));
                _w.Increase(high, unchecked((int)Philox.Weyl1));
                _w.Increase(rounds, -1);
                return rounds > 0;
            });
        }
        return counter;
    }
}

/// <summary>A dropout mask as <see cref="MaskText"/> takes it.</summary>
/// <param name="Start">The address of what is added to the offset when the kernel runs; 0 for nothing.</param>
/// <param name="Seed">The key.</param>
/// <param name="Offset">The stream's element 0.</param>
/// <param name="Threshold">The least word that is kept.</param>
/// <param name="Scale">What kept elements are multiplied by.</param>
internal readonly record struct MaskArguments(nint Start, ulong Seed, ulong Offset, uint Threshold, float Scale)
{
    /// <summary>The mask of a launch.</summary>
    /// <param name="gpu">The device.</param>
    /// <param name="mask">The mask.</param>
    /// <param name="any">Any tensor of the device.</param>
    internal static MaskArguments Of(GpuDevice gpu, DropoutMask mask, Tensor any)
    {
        (nint start, ulong recorded) = GpuDropoutMask.Start(gpu, mask.Stream, any);
        // A word is kept where its upper 24 bits are at least p · 2^24.
        uint threshold = (uint)Math.Ceiling(mask.Probability * 16777216.0) << 8;
        return new(start, mask.Stream.Seed, unchecked(mask.Stream.Offset - recorded), threshold, mask.Scale);
    }
}
