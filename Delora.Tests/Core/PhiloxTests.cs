using Delora.Core;

namespace Delora.Tests.Core;

/// <summary>
/// The generator against the vectors its authors publish (Random123, kat_vectors, philox4x32 with 10 rounds), and its documented layout.
/// </summary>
public class PhiloxTests
{
    [Theory]
    [InlineData(0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u, 0x00000000u,
        0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu,
        0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u,
        0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void Known_answers(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, uint w0, uint w1, uint w2, uint w3)
    {
        Philox.Rounds(k0, k1, c0, c1, c2, c3, out uint r0, out uint r1, out uint r2, out uint r3);
        Assert.Equal((w0, w1, w2, w3), (r0, r1, r2, r3));
    }

    [Fact]
    public void Block_is_keyed_by_the_seed_and_counts_in_the_low_words()
    {
        const ulong seed = 0x299f31d0_a4093822, counter = 0x85a308d3_243f6a88;
        Philox.Rounds(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0, 0, out uint e0, out uint e1, out uint e2, out uint e3);
        Philox.Block(seed, counter, out uint r0, out uint r1, out uint r2, out uint r3);
        Assert.Equal((e0, e1, e2, e3), (r0, r1, r2, r3));
    }

    [Fact]
    public void Elements_are_the_words_of_the_blocks_in_order()
    {
        var stream = new RandomStream(42, 3);
        for (ulong block = 0; block < 5; block++)
        {
            Philox.Block(42, block, out uint r0, out uint r1, out uint r2, out uint r3);
            uint[] words = [r0, r1, r2, r3];
            for (ulong lane = 0; lane < 4; lane++)
            {
                ulong element = 4 * block + lane;
                Assert.Equal(words[lane], Philox.Word(42, element));
                Assert.Equal((words[lane] >> 8) / 16777216.0, (double)Philox.Uniform(42, element));
                if (element >= 3) Assert.Equal(words[lane], stream.Word((long)element - 3));
            }
        }
    }

    [Fact]
    public void Uniform_stays_below_one() =>
        Assert.Equal((0f, 1f - 1f / 16777216f), (Philox.ToUniform(255), Philox.ToUniform(uint.MaxValue)));
}
