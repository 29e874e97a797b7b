using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;

namespace Delora.Tests.KernelCompilation;

/// <summary>What NVIDIA's assembler makes of the products' texts: registers, no local memory, and the instructions that are meant.</summary>
public sealed class ProductTextTests
{
    // 65536 registers of a multiprocessor for 256 threads, for 3 groups of 128, and for 5 of 64.
    private const int AllRegisters = 255, SmallTile = 168, FloatSmallTile = 200;

    [Theory, InlineData("sm_80"), InlineData("sm_90a")]
    public void TensorProductsStayInRegisters(string architecture)
    {
        foreach ((MmaType type, DType stored, string product) in new[]
                 {
                     (MmaType.BFloat16, DType.BFloat16, "HMMA.16816.F32.BF16"), (MmaType.Float16, DType.Float16, "HMMA.16816.F32 "),
                     (MmaType.TensorFloat32, DType.Float32, "HMMA.1688.F32.TF32"),
                 })
            foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            {
                bool left = layout != MatMulLayout.TN, right = layout == MatMulLayout.NT;
                // Past the registers, one operand through them, both, and both in the smallest pieces.
                ProductTile largest = type == MmaType.TensorFloat32 ? ProductPlan.Middle : ProductPlan.Large;
                Check(new(type, new(stored, left, 16), new(stored, right, 16), null, true, largest));
                if (left) Check(new(type, new(DType.Float32, left, 16), new(stored, right, 16), (Branch(left), Branch(right)), true, largest));
                // float16 has the instructions and the bytes of bfloat16.
                if (type != MmaType.Float16)
                {
                    Check(new(type, new(DType.Float32, left, 16), new(DType.Float32, right, 16), null, true, ProductPlan.Middle));
                    Check(new(type, new(DType.Float32, left, 4), new(DType.Float32, right, 4), null, false, ProductPlan.Middle));
                    Check(new(type, new(DType.Float32, left, 4), new(DType.Float32, right, 4), null, false, ProductPlan.Small));
                }
                Check(new(type, new(DType.BFloat16, left, 2), new(DType.Float16, right, 2), null, false, ProductPlan.Middle));
                Check(new(type, new(DType.Float32, left, 16), new(stored, right, 16), left ? (Branch(left), Branch(right)) : null, true, ProductPlan.Small));

                void Check(ProductVariant variant)
                {
                    if (Verify(variant, architecture, variant.Tile == ProductPlan.Small ? SmallTile : AllRegisters) is not { } machine) return;
                    int blocks = variant.Tile.WarpRows / 16 * (variant.Tile.WarpColumns / 8), loops = variant.Branch is null ? 1 : 2;
                    Assert.Equal(2 * loops * blocks, Count(machine, product));
                    // Numbers of 32 bits that lie across are loaded one by one.
                    if (type != MmaType.TensorFloat32 || left || right) Assert.NotEqual(0, Count(machine, "LDSM.16.M"));
                    bool isCopied = type != MmaType.TensorFloat32
                        && ((variant.Left.Type == stored && variant.Left.Width >= 4) || (variant.Right.Type == stored && variant.Right.Width >= 4));
                    Assert.Equal(isCopied, Count(machine, "LDGSTS") > 0);
                }
            }
    }

    /// <summary>Codes of a quantized weight are looked up or converted by the threads that store them, also in the largest tile.</summary>
    [Theory, InlineData("sm_80"), InlineData("sm_90a")]
    public void ProductsOfCodesStayInRegisters(string architecture)
    {
        foreach (FrozenStorage storage in new[] { FrozenStorage.Int8, FrozenStorage.Nf4 })
            foreach (bool byDepth in new[] { true, false })
            {
                ProductOperand codes = ProductOperand.Coded(storage, byDepth), one = new(DType.Float32, true, 16), smallest = new(DType.Float32, true, 4);
                var branch = (Branch(true), Branch(byDepth));
                Check(new(MmaType.BFloat16, new(DType.BFloat16, true, 16), codes, null, true, ProductPlan.Large));
                Check(new(MmaType.BFloat16, new(DType.BFloat16, true, 16), codes, branch, true, ProductPlan.Large));
                Check(new(MmaType.BFloat16, smallest, codes, null, false, ProductPlan.Middle));
                Check(new(MmaType.BFloat16, one, codes, branch, true, ProductPlan.Small));
                Check(new(MmaType.TensorFloat32, one, codes, branch, true, ProductPlan.Middle));
                Check(new(null, one, codes, branch, true, ProductPlan.FloatLarge));

                void Check(ProductVariant variant)
                {
                    if (Verify(variant, architecture, variant.Tile == ProductPlan.Small ? SmallTile : AllRegisters) is not { } machine) return;
                    Assert.Equal(variant.Type is not null, Count(machine, "HMMA") > 0);
                    // Those of divisions alone.
                    Assert.Equal(Count(machine, "I2F.U32"), Count(machine, "I2F"));
                    Assert.Equal(storage == FrozenStorage.Nf4, Count(machine, "SHFL.IDX") > 0);
                }
            }
    }

    /// <summary>The small products of a low-rank branch under dropout: threads make the mask of what they store.</summary>
    [Theory, InlineData("sm_60"), InlineData("sm_80"), InlineData("sm_90a")]
    public void ProductsUnderAMaskStayInRegisters(string architecture)
    {
        (ProductOperand Left, ProductOperand Right) branch = (Branch(true), Branch(false)), least = (new(DType.Float32, true, 4), new(DType.Float32, false, 4));
        Check(new(null, branch.Left, branch.Right, branch, true, ProductPlan.FloatLarge, ProductMask.Branch), AllRegisters);
        Check(new(null, least.Left, ProductOperand.Coded(FrozenStorage.Nf4, false), least, false, ProductPlan.FloatLarge, ProductMask.Branch), AllRegisters);
        foreach (ProductMask side in new[] { ProductMask.Left, ProductMask.Right })
        {
            bool left = side == ProductMask.Left;
            ProductOperand a = new(DType.Float32, left, 16), b = new(DType.Float32, left, 16), odd = new(DType.Float32, left, 4);
            Check(new(null, odd, odd, null, false, ProductPlan.FloatLarge, side), AllRegisters);
            if (architecture == "sm_60") continue;
            Check(new(null, a, b, null, true, ProductPlan.FloatSmall, side), FloatSmallTile);
            // Two groups of a multiprocessor, as its tile asks for.
            Check(new(MmaType.BFloat16, a, b, null, true, ProductPlan.Small, side), AllRegisters);
            Check(new(MmaType.BFloat16, odd, odd, null, false, ProductPlan.Middle, side), AllRegisters);
            Check(new(MmaType.BFloat16, left ? a : new(DType.BFloat16, left, 16), left ? new(DType.BFloat16, left, 16) : b, null, true, ProductPlan.Middle, side), AllRegisters);
        }

        void Check(ProductVariant variant, int registers)
        {
            if (Verify(variant, architecture, registers) is { } machine) Assert.NotEqual(0, Count(machine, "IMAD.WIDE.U32") + Count(machine, "IMAD.HI.U32") + Count(machine, "XMAD"));
        }
    }

    [Theory, InlineData("sm_60"), InlineData("sm_80"), InlineData("sm_90a")]
    public void FloatProductsStayInRegisters(string architecture)
    {
        foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
            foreach (ProductTile tile in new[] { ProductPlan.FloatLarge, ProductPlan.FloatSmall })
            {
                bool left = layout != MatMulLayout.TN, right = layout == MatMulLayout.NT;
                foreach (ProductVariant variant in new ProductVariant[]
                         {
                             new(null, new(DType.Float32, left, 16), new(DType.Float32, right, 16), null, true, tile),
                             new(null, new(DType.Float32, left, 4), new(DType.BFloat16, right, 2), null, false, tile),
                             new(null, new(DType.Float32, left, 4), ProductOperand.Coded(FrozenStorage.Nf4, right), null, false, tile),
                             new(null, new(DType.Float32, left, 16), new(DType.Float16, right, 16), left ? (Branch(left), Branch(right)) : null, true, tile),
                         })
                {
                    if (Verify(variant, architecture, tile == ProductPlan.FloatSmall ? FloatSmallTile : AllRegisters) is not { } machine) continue;
                    Assert.InRange(Count(machine, "FFMA"), FloatTile.Steps * 64 * (variant.Branch is null ? 1 : 2), int.MaxValue);
                    Assert.NotEqual(0, Count(machine, "LDS.128") + Count(machine, "LDS.U.128"));
                }
            }
    }

    [Theory, InlineData("sm_80"), InlineData("sm_90a")]
    public void TheSumOfPartsAssembles(string architecture)
    {
        PtxReport report = NvidiaAssembler.Assemble(PartialSums.Write(ActivationKind.None).Text, architecture);
        Assert.Equal((0, 0), (report.StackBytes, report.SpilledBytes));
    }

    [Fact]
    public void EachVariantHasItsName()
    {
        ProductVariant variant = new(
            MmaType.BFloat16, new(DType.Float32, true, 16), new(DType.BFloat16, false, 8), (Branch(true), Branch(false)), false, ProductPlan.Small);
        Assert.Equal("product_bf16_kf32w16_nbf16w8_branch16_16_odd_64x64", variant.Name);
        Assert.Equal(
            "product_f32_kf32w16_nnf4w4_128x128",
            new ProductVariant(null, Branch(true), ProductOperand.Coded(FrozenStorage.Nf4, false), null, true, ProductPlan.FloatLarge).Name);
        Assert.Equal("product_f32_kf32w16_kf32w16_128x128", new ProductVariant(null, Branch(true), Branch(true), null, true, ProductPlan.FloatLarge).Name);
    }

    private static ProductOperand Branch(bool byDepth) => new(DType.Float32, byDepth, 16);

    /// <summary>The machine instructions of a text that needs no more registers than that; null where they cannot be had.</summary>
    private static string? Verify(ProductVariant variant, string architecture, int registers)
    {
        PtxText text = ProductWriter.Write(variant);
        PtxReport report = NvidiaAssembler.Assemble(text.Text, architecture, disassemble: true);
        string what = string.Create(CultureInfo.InvariantCulture, $"{variant.Name} for {architecture}: {report.Registers} registers, {report.Report}");
        TestContext.Current.SendDiagnosticMessage(what);
        Assert.True(report.StackBytes == 0 && report.SpilledBytes == 0 && report.Registers <= registers, what);
        Assert.Equal(variant.Tile.SharedBytes, text.SharedBytes);
        Assert.Equal(variant.Tile.Threads, text.Threads);
        return report.Machine;
    }

    private static int Count(string text, string part)
    {
        int count = 0;
        for (int at = 0; (at = text.IndexOf(part, at, StringComparison.Ordinal)) >= 0; at += part.Length) count++;
        return count;
    }
}
