using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;
using Delora.Tests.KernelCompilation;
using Delora.Tests.Ops;

namespace Delora.Tests.Products;

/// <summary>
/// What the texts of products end with: f of the sums, which the same text without an end gives, the sums themselves, and a residual.
/// </summary>
public sealed class ProductEndTests
{
    private static readonly ActivationKind[] s_kinds = Enum.GetValues<ActivationKind>();

    [Theory, MemberData(nameof(TestDevices.CudaNames), MemberType = typeof(TestDevices))]
    public void EveryActivationOfEveryText(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        for (int i = 0; i < s_kinds.Length; i++)
            foreach (MmaType? type in new MmaType?[] { null, MmaType.BFloat16, MmaType.TensorFloat32 })
            {
                bool isOdd = i % 2 == 1;
                ProductTile tile = type is null ? ProductPlan.FloatSmall : ProductPlan.Small;
                // One part and two; rows of c that are stored at once, and number by number.
                Verify(gpu, type, new(1, 17, isOdd ? 35 : 36, 70), new ProductPlan(tile, 1, 8), s_kinds[i], isKept: true, hasResidual: isOdd);
                ProductPlan parts = new(tile, 2, type is null ? 3 : 2);
                Verify(gpu, type, new(1, 9, isOdd ? 36 : 35, 70), parts, s_kinds[i], isKept: isOdd, hasResidual: true);
            }
    }

    [Theory, MemberData(nameof(TestDevices.CudaNames), MemberType = typeof(TestDevices))]
    public void LargeTilesAndBatches(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        Verify(gpu, MmaType.BFloat16, new(1, 129, 258, 40), new ProductPlan(ProductPlan.Large, 1, 2), ActivationKind.Gelu, isKept: true, hasResidual: false);
        Verify(gpu, MmaType.BFloat16, new(3, 65, 33, 40), new ProductPlan(ProductPlan.Middle, 1, 2), ActivationKind.Silu, isKept: true, hasResidual: true);
        Verify(gpu, null, new(2, 130, 132, 20), new ProductPlan(ProductPlan.FloatLarge, 1, 2), ActivationKind.Tanh, isKept: true, hasResidual: true);
    }

    [Theory, MemberData(nameof(TestDevices.CudaNames), MemberType = typeof(TestDevices))]
    public void ProductsOfWarpgroups(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        if (gpu.Target is not { ComputeCapability: 90, PtxVersion: >= 80 }) Assert.Skip($"{gpu.Name} has no products of warpgroups");
        for (int i = 0; i < s_kinds.Length; i++)
            Verify(gpu, MmaType.BFloat16, new(1 + i % 2, 131, i % 3 == 0 ? 259 : 136, 72), null, s_kinds[i], isKept: i % 2 == 0, hasResidual: i % 3 != 1);
    }

    /// <summary>Small, large and special numbers through the formulas of the texts.</summary>
    [Theory, MemberData(nameof(TestDevices.CudaNames), MemberType = typeof(TestDevices))]
    public void TheFormulasHoldFarOutAndKeepNaN(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        float[] numbers = [0, 1e-30f, 1e-4f, 0.3f, 0.62f, 0.63f, 1, 3, 5.7f, 9, 16, 30, 88, 200, 3e38f, float.NaN];
        float[] x = [.. numbers, .. numbers.Select(number => -number)];
        foreach (ActivationKind kind in s_kinds.Where(kind => kind != ActivationKind.None))
        {
            double[] expected, actual;
            using (Tensor reference = Tensor.From(x, [x.Length], Devices.Reference), result = Tensor.Empty(reference.Shape, DType.Float64, Devices.Reference))
            {
                kind.Forward(reference, result);
                expected = result.ToArray<double>();
            }
            using (Tensor column = Tensor.From(x, [1, x.Length, 1], gpu), one = Tensor.From(new float[] { 1 }, [1, 1, 1], gpu))
            using (Tensor y = OpTesting.Output([1, x.Length, 1], gpu))
            {
                var product = new CudaProduct(null, MatMulLayout.NN, new(1, x.Length, 1, 1), column, one, y, Epilogue: new() { Activation = kind });
                product.Run(gpu, new ProductPlan(ProductPlan.FloatSmall, 1, 1));
                actual = y.ToArray<double>();
            }
            for (int i = 0; i < x.Length; i++)
                if (float.IsNaN(x[i])) Assert.True(double.IsNaN(actual[i]), $"{kind}({x[i]}) is {actual[i]}");
                else
                    Assert.True(
                        Math.Abs(actual[i] - expected[i]) <= 1e-6 + 1e-5 * Math.Abs(expected[i]), $"{kind}({x[i]}) is {actual[i]}, not {expected[i]}");
        }
    }

    [Theory]
    [InlineData("sm_80", ActivationKind.Gelu), InlineData("sm_90a", ActivationKind.Gelu), InlineData("sm_90a", ActivationKind.Tanh)]
    [InlineData("sm_80", ActivationKind.GeluTanh)]
    public void TextsWithAnActivationStayInRegisters(string architecture, ActivationKind kind)
    {
        ProductOperand stored = new(DType.BFloat16, true, 16), plain = new(DType.Float32, true, 16), narrow = new(DType.Float32, true, 4);
        List<PtxText> texts =
        [
            ProductWriter.Write(new(MmaType.BFloat16, stored, stored, null, true, ProductPlan.Large, Activation: kind)),
            ProductWriter.Write(new(MmaType.BFloat16, plain, stored, (plain, plain), true, ProductPlan.Large, Activation: kind)),
            ProductWriter.Write(new(MmaType.BFloat16, narrow, narrow, null, false, ProductPlan.Middle, Activation: kind)),
            ProductWriter.Write(new(MmaType.BFloat16, narrow, narrow, null, false, ProductPlan.Small, Activation: kind)),
            ProductWriter.Write(new(MmaType.TensorFloat32, plain, plain, (plain, plain), true, ProductPlan.Middle, Activation: kind)),
            ProductWriter.Write(new(null, plain, plain, (plain, plain), true, ProductPlan.FloatLarge, Activation: kind)),
            ProductWriter.Write(new(null, narrow, narrow, null, false, ProductPlan.FloatSmall, Activation: kind)),
            PartialSums.Write(kind),
        ];
        if (architecture == "sm_90a")
            texts.AddRange(
            [
                WarpgroupWriter.Write(new(MmaType.BFloat16, MatMulLayout.NT, 256, 2, true, kind)),
                WarpgroupWriter.Write(new(MmaType.BFloat16, MatMulLayout.NT, 256, 0, false, kind)),
                WarpgroupWriter.Write(new(MmaType.Float16, MatMulLayout.NN, 128, 5, true, kind)),
            ]);
        foreach (PtxText text in texts)
        {
            PtxReport report = NvidiaAssembler.Assemble(text.Text, architecture);
            string what = $"{text.Entry} for {architecture}: {report.Registers} registers, {report.Report}";
            TestContext.Current.SendDiagnosticMessage(what);
            Assert.True(report.StackBytes == 0 && report.SpilledBytes == 0, what);
            Assert.DoesNotContain("serialize", report.Report, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public void TextsWithAnActivationHaveNamesOfTheirOwn()
    {
        ProductOperand plain = new(DType.Float32, true, 16);
        string[] names = [.. s_kinds.SelectMany(kind => (string[])
            [
                new ProductVariant(null, plain, plain, null, true, ProductPlan.FloatLarge, Activation: kind).Name, PartialSums.Name(kind),
                new WarpgroupVariant(MmaType.BFloat16, MatMulLayout.NT, 256, 0, true, kind).Name,
            ])];
        Assert.Equal(3 * s_kinds.Length, names.Distinct().Count());
        Assert.Contains("product_f32_kf32w16_kf32w16_gelutanh_128x128", names);
    }

    /// <param name="gpu">The device.</param>
    /// <param name="type">What tensor cores multiply.</param>
    /// <param name="size">The product, y = x Wᵀ + b.</param>
    /// <param name="plan">How it is cut; null for one of warpgroups.</param>
    /// <param name="kind">f.</param>
    /// <param name="isKept">Whether the sums are stored as well.</param>
    /// <param name="hasResidual">Whether something is added to f of them.</param>
    private static void Verify(GpuDevice gpu, MmaType? type, MatMulSize size, ProductPlan? plan, ActivationKind kind, bool isKept, bool hasResidual)
    {
        (int batch, int m, int n, int k) = size;
        DType stored = type is null or MmaType.TensorFloat32 ? DType.Float32 : DType.BFloat16;
        isKept &= kind != ActivationKind.None;
        using Tensor x = On(1, [batch, m, k]), w = On(2, [batch, n, k]), bias = LinearAssert.Operand(3, [n], gpu);
        using Tensor around = LinearAssert.Operand(4, [batch, m, n], gpu);
        using Tensor sums = OpTesting.Output([batch, m, n], gpu), y = OpTesting.Output([batch, m, n], gpu), z = OpTesting.Output([batch, m, n], gpu);
        CudaProduct product = new(type, MatMulLayout.NT, size, x, w, sums, bias);
        Run(product);
        Run(product with { C = y, Epilogue = new() { Activation = kind, Preactivation = isKept ? z : null, Residual = hasResidual ? around : null } });
        float[] plain = sums.ToArray<float>(), actual = y.ToArray<float>(), added = around.ToArray<float>();
        if (isKept) Assert.Equal(plain, z.ToArray<float>());
        using Tensor reference = Tensor.From(plain, [plain.Length], Devices.Reference);
        using Tensor activated = Tensor.Empty(reference.Shape, DType.Float64, Devices.Reference);
        if (kind == ActivationKind.None) activated.CopyFrom(reference);
        else kind.Forward(reference, activated);
        double[] expected = activated.ToArray<double>();
        for (int i = 0; i < actual.Length; i++)
        {
            double wanted = expected[i] + (hasResidual ? added[i] : 0);
            Assert.True(
                Math.Abs(actual[i] - wanted) <= 2e-6 * (1 + Math.Abs(expected[i])),
                $"{kind} of {type}, {size}, {plan}: element {i} is {actual[i]}, not {wanted}");
        }

        void Run(CudaProduct what)
        {
            if (plan is { } cut) what.Run(gpu, cut);
            else WarpgroupProduct.Run(gpu, what, new(size.N > 200 ? 256 : 128, 2));
        }

        Tensor On(int seed, Shape shape)
        {
            float[] numbers = LinearAssert.Numbers(seed, shape.ElementCount);
            return stored == DType.Float32 ? Tensor.From(numbers, shape, gpu) : Tensor.From(numbers.Select(number => (BFloat16)number).ToArray(), shape, gpu);
        }
    }
}
