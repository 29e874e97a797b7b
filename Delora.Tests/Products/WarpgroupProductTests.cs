using System.Text.RegularExpressions;
using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;
using Delora.Tests.KernelCompilation;
using Delora.Tests.Ptx;

namespace Delora.Tests.Products;

/// <summary>
/// Products of warpgroups against sums in float64 of the same operands in 16 bits, what NVIDIA's assembler makes of their texts, and when they are chosen.
/// </summary>
public sealed partial class WarpgroupProductTests
{
    public static TheoryData<string, string, string> Cases
    {
        get
        {
            var rows = new TheoryData<string, string, string>();
            foreach (var row in TestDevices.CudaNames)
                foreach (string type in (string[])["BFloat16", "Float16"])
                    foreach (string layout in Enum.GetNames<MatMulLayout>())
                        rows.Add(new TheoryDataRow<string, string, string>(row.Data, type, layout) { Skip = row.Skip, Traits = { ["Device"] = [row.Data] } });
            return rows;
        }
    }

    /// <summary>Rows of operands that have odd lengths wherever copies of tiles allow that: a row in memory has a multiple of eight numbers.</summary>
    [Theory, MemberData(nameof(Cases))]
    public void MatchesFloat64(string device, string type, string layout)
    {
        Setting of = new(device, Enum.Parse<MmaType>(type), Enum.Parse<MatMulLayout>(layout));
        bool byDepth = of.Layout != MatMulLayout.TN, rightByDepth = of.Layout == MatMulLayout.NT;
        // One tile, part of it; a depth that only the left or no operand's rows have.
        (int m, int n, int k) = (byDepth ? 77 : 72, rightByDepth ? 91 : 88, byDepth ? 72 : 71);
        Verify(of, new(1, m, n, k), new(128, 1));
        Verify(of, new(1, m, n, k), new(256, 1), rank: 8, hasBias: true);
        Verify(of, new(1, byDepth ? 1 : 8, rightByDepth ? 1 : 8, byDepth ? 8 : 1), new(128, 1), accumulate: true);
        // Several tiles for a group, of which the last are not full; the ring begins again more than twice.
        Verify(of, new(1, byDepth ? 131 : 136, rightByDepth ? 259 : 264, byDepth ? 600 : 601), new(256, 1), rank: 24, hasBias: true, accumulate: true);
        Verify(of, new(1, byDepth ? 130 : 136, rightByDepth ? 134 : 136, byDepth ? 840 : 837), new(128, 2), rank: 72, accumulate: true);
        // A batch, and float32 operands, which are rounded.
        Verify(of, new(3, byDepth ? 65 : 72, rightByDepth ? 129 : 136, byDepth ? 136 : 129), new(128, 4), hasBias: true);
        Verify(of, new(1, 64, 136, 200), new(256, 1), rank: 16, isRounded: true);
    }

    [Theory]
    [InlineData("BFloat16", "NN", 256, 2, true), InlineData("BFloat16", "NT", 128, 5, false), InlineData("BFloat16", "TN", 256, 0, true), InlineData("Float16", "NT", 256, 0, true)]
    public void TheTextsAssembleIntoAsynchronousProducts(string type, string layout, int columns, int branchSteps, bool isPaired)
    {
        PtxText text = WarpgroupWriter.Write(new(Enum.Parse<MmaType>(type), Enum.Parse<MatMulLayout>(layout), columns, branchSteps, isPaired));
        PtxReport report = NvidiaAssembler.Assemble(text.Text, "sm_90a", disassemble: true);
        Assert.True(report.StackBytes + report.SpilledBytes == 0, report.Report);
        // Serialized products, registers that cannot be handed over: the assembler warns.
        Assert.False(Complaint().IsMatch(report.Report), report.Report);
        TestContext.Current.SendDiagnosticMessage($"{text.Entry}: {report.Registers} registers, {text.SharedBytes} bytes of shared memory");
        Assert.InRange(text.SharedBytes, 1, 227 << 10);
        if (report.Machine is not { } machine) return;
        foreach (string instruction in (string[])[$"HGMMA.64x{columns}x16.F32{(type == "BFloat16" ? ".BF16" : " ")}", "UTMALDG.3D", "USETMAXREG", "SYNCS"])
            Assert.Contains(instruction, machine);
    }

    [Fact]
    public void LargeProductsThatFillACardAreChosen()
    {
        const int Processors = 132;
        Assert.Equal(new WarpgroupPlan(256, 132), WarpgroupProduct.Choose(new(1, 8192, 8192, 8192), Processors));
        Assert.Equal(new WarpgroupPlan(256, 128), WarpgroupProduct.Choose(new(1, 2048, 2048, 2048), Processors));
        // 96 tiles of 256 columns at once, a quarter of them beyond column 576, are done before 160 of 128 columns, which take two turns.
        Assert.Equal(new WarpgroupPlan(256, 96), WarpgroupProduct.Choose(new(1, 4096, 576, 576), Processors));
        Assert.Equal(new WarpgroupPlan(128, 128), WarpgroupProduct.Choose(new(1, 4096, 512, 4096), Processors));
        foreach (MatMulSize size in new MatMulSize[] { new(1, 8192, 8192, 192), new(1, 8, 8192, 8192), new(1, 8192, 64, 8192), new(1, 512, 512, 8192), new(0, 512, 512, 512) })
            Assert.Null(WarpgroupProduct.Choose(size, Processors));
    }

    [Theory, MemberData(nameof(Cases))]
    public void AProductThatFillsTheCardIsMadeByWarpgroups(string name, string type, string layout)
    {
        Assert.SkipUnless(name == "interpreter", "a card with two multiprocessors is needed");
        (MatMulSize size, bool leftByDepth, bool rightByDepth) = (new MatMulSize(1, 256, 264, 256), layout != "TN", layout == "NT");
        using GpuDevice gpu = InterpretedDevice.Start(new(9, 0, 84, 2, 227 << 10), "two multiprocessors");
        DType stored = Enum.Parse<DType>(type);
        float[] a = Numbers(size.M * size.K, 1), b = Numbers(size.K * size.N, 2);
        using Tensor left = On(gpu, a, leftByDepth ? [size.M, size.K] : [size.K, size.M], stored), right = On(gpu, b, rightByDepth ? [size.N, size.K] : [size.K, size.N], stored);
        using Tensor c = Tensor.Empty([size.M, size.N], DType.Float32, gpu), expected = Tensor.Empty([size.M, size.N], DType.Float32, gpu);
        CudaProduct product = new(Enum.Parse<MmaType>(type), Enum.Parse<MatMulLayout>(layout), size, left, right, c);
        WarpgroupPlan? plan = WarpgroupProduct.Plan(gpu, product);
        Assert.Equal(new WarpgroupPlan(128, 2), plan);
        product.Run(gpu);
        WarpgroupProduct.Run(gpu, product with { C = expected }, plan!.Value);
        Assert.Equal(expected.ToArray<float>(), c.ToArray<float>());

        // Not where a row in memory is no multiple of 16 bytes, not where rounding would cost as much as the product, not in tf32, not on another card.
        Assert.Null(WarpgroupProduct.Plan(gpu, product with { Size = size with { M = 255, K = 255, N = 255 } }));
        using Tensor plain = On(gpu, a, left.Shape, DType.Float32);
        Assert.Null(WarpgroupProduct.Plan(gpu, product with { A = plain }));
        Assert.Null(WarpgroupProduct.Plan(gpu, product with { Type = MmaType.TensorFloat32 }));
        if (layout != "TN") Assert.Null(WarpgroupProduct.Plan(gpu, product with { Branch = new ProductBranch(plain, plain, 4) }));
        using GpuDevice other = InterpretedDevice.Start(new(10, 0, 84, 2, 227 << 10), "a later card");
        Assert.Null(WarpgroupProduct.Plan(other, product));
    }

    [GeneratedRegex("warning|serialize|ignored", RegexOptions.IgnoreCase)]
    private static partial Regex Complaint();

    private static void Verify(
        Setting of, MatMulSize size, WarpgroupPlan plan, int rank = 0, bool hasBias = false, bool accumulate = false, bool isRounded = false)
    {
        (int batch, int m, int n, int k) = size;
        var gpu = (GpuDevice)TestDevices.Get(of.Device);
        if (gpu.Target is not { ComputeCapability: 90, PtxVersion: >= 80 }) Assert.Skip($"{gpu.Name} has no products of warpgroups");
        DType stored = of.Type == MmaType.BFloat16 ? DType.BFloat16 : DType.Float16, given = isRounded ? DType.Float32 : stored;
        Shape Lines(int lines, int depth, bool byDepth, int count) => byDepth ? [count, lines, depth] : [count, depth, lines];
        bool leftByDepth = of.Layout != MatMulLayout.TN, rightByDepth = of.Layout == MatMulLayout.NT;
        // Numbers that differ, so that none can stand in another's place.
        float[] a = Numbers(batch * m * k, 1), b = Numbers(batch * k * n, 2), before = Numbers(batch * m * n, 3), bias = Numbers(n, 4);
        float[] branchA = Numbers(m * rank, 5), branchB = Numbers(rank * n, 6), actual;
        using (Tensor left = On(gpu, a, Lines(m, k, leftByDepth, batch), given), right = On(gpu, b, Lines(n, k, rightByDepth, batch), given), offset = On(gpu, bias, [n], DType.Float32))
        using (Tensor down = On(gpu, branchA, Lines(m, rank, leftByDepth, 1), DType.Float32), up = On(gpu, branchB, Lines(n, rank, rightByDepth, 1), DType.Float32))
        using (Tensor c = accumulate ? On(gpu, before, [batch, m, n], DType.Float32) : Tensor.Empty([batch, m, n], DType.Float32, gpu))
        {
            var product = new CudaProduct(
                of.Type, of.Layout, size, left, right, c, hasBias ? offset : null, accumulate, rank == 0 ? null : new ProductBranch(down, up, rank));
            Assert.True(isRounded || WarpgroupProduct.Suits(gpu, product));
            WarpgroupProduct.Run(gpu, product, plan);
            actual = c.ToArray<float>();
        }
        foreach (float[] numbers in (float[][])[a, b, branchA, branchB])
            for (int i = 0; i < numbers.Length; i++) numbers[i] = stored == DType.BFloat16 ? (float)(BFloat16)numbers[i] : (float)(Half)numbers[i];
        for (int q = 0; q < batch; q++)
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                {
                    int at = (q * m + i) * n + j;
                    (double sum, double magnitude) = (0, 0);
                    if (hasBias) Add(bias[j], 1);
                    if (accumulate) Add(before[at], 1);
                    for (int p = 0; p < k; p++)
                        Add(a[q * m * k + (leftByDepth ? i * k + p : p * m + i)], b[q * k * n + (rightByDepth ? j * k + p : p * n + j)]);
                    for (int p = 0; p < rank; p++) Add(branchA[leftByDepth ? i * rank + p : p * m + i], branchB[rightByDepth ? j * rank + p : p * n + j]);
                    // Each addition may lose a unit of float32's last place.
                    Assert.True(
                        Math.Abs(actual[at] - sum) <= (k + rank + 4) * Math.ScaleB(magnitude, -23),
                        $"{of}, {size}, {plan}, rank {rank}: element [{q}, {i}, {j}] is {actual[at]}, not {sum}");

                    void Add(double x, double y)
                    {
                        sum += x * y;
                        magnitude += Math.Abs(x * y);
                    }
                }
    }

    private static Tensor On(GpuDevice gpu, float[] values, Shape shape, DType type) => type switch
    {
        DType.BFloat16 => Tensor.From(values.Select(value => (BFloat16)value).ToArray(), shape, gpu),
        DType.Float16 => Tensor.From(values.Select(value => (Half)value).ToArray(), shape, gpu),
        _ => Tensor.From(values, shape, gpu),
    };

    private static float[] Numbers(int count, ulong seed)
    {
        var numbers = new float[count];
        new Generator(seed).FillUniform(numbers, -1, 1);
        return numbers;
    }

    /// <summary>Where and of what.</summary>
    private sealed record Setting(string Device, MmaType Type, MatMulLayout Layout);
}
