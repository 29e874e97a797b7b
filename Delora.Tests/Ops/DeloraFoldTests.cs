using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class DeloraFoldTests
{
    private static readonly (int Rank, int In, int Out)[] s_shapes =
        [(1, 1, 1), (1, 31, 33), (3, 32, 31), (4, 0, 5), (4, 5, 0), (8, 33, 32), (8, 127, 129), (33, 129, 127), (16, 1025, 1025), (300,
            40, 50)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        int seed = 0;
        foreach ((int rank, int columns, int rows) in s_shapes)
            foreach ((int offset, int more, bool negative) in ((int, int, bool)[])[(0, 0, false), (2, 1, true)])
            {
                if (name == "simulator" && rank * (columns + rows) > 200) continue;
                seed += 10;
                using var scope = new TensorScope();
                Fold expected = Everything(Devices.Reference, rank, columns, rows, offset, offset + rank + more, negative, seed);
                Fold actual = Everything(device, rank, columns, rows, offset, offset + rank + more, negative, seed);
                OpTesting.Close(expected.Scales.ToArray<double>(), actual.Scales.ToArray<double>(), 1e-6);
                CloseOrPoisoned(expected.FoldedA, actual.FoldedA);
                CloseOrPoisoned(expected.FoldedB, actual.FoldedB);
                CloseOrPoisoned(expected.DA, actual.DA);
                CloseOrPoisoned(expected.DB, actual.DB);
                CloseOrPoisoned(expected.DLambda, actual.DLambda);
            }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads()
    {
        OpTesting.IndependentOfThreads(d => Everything(d, 24, 3000, 2500, 0, 24, false, 1).FoldedB);
        OpTesting.IndependentOfThreads(d => Everything(d, 24, 3000, 2500, 0, 24, false, 1).DA);
        OpTesting.IndependentOfThreads(d => Everything(d, 24, 3000, 2500, 0, 24, false, 1).DB);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void OnlyTheBranchIsWrittenAndOnlyWhatIsWanted(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Fold fold = Everything(device, 2, 3, 4, offset: 1, total: 5, negative: true, seed: 1);
        float[] a = fold.FoldedA.ToArray<float>(), b = fold.FoldedB.ToArray<float>();
        for (int k = 0; k < 5; k++)
        {
            for (int j = 0; j < 3; j++) Assert.Equal(k is 1 or 2, float.IsFinite(a[k * 3 + j]));
            for (int j = 0; j < 4; j++) Assert.Equal(k is 1 or 2, float.IsFinite(b[j * 5 + k]));
        }

        Tensor scales = OpTesting.Output([3, 2], device), onlyB = OpTesting.Output([4, 5], device), dLambda = OpTesting.Output([1], device);
        DeloraFoldKernel.Forward(fold.A, fold.B, fold.Lambda, fold.W, scales, null, onlyB, 1, negative: true);
        Assert.Equal(b, onlyB.ToArray<float>());
        DeloraFoldKernel.Backward(fold.A, fold.B, fold.W, scales, null, fold.DFoldedB, null, null, dLambda, 1, negative: true);
        Assert.Equal(fold.DLambda.ToArray<float>(), dLambda.ToArray<float>());

        Tensor dA = OpTesting.Output([2, 3], device), dB = OpTesting.Output([4, 2], device);
        DeloraFoldKernel.Backward(fold.A, fold.B, fold.W, scales, fold.DFoldedA, null, dA, dB, dLambda, 1, negative: true);
        Assert.All(dB.ToArray<float>(), value => Assert.Equal(0, value));
        Assert.Equal([0f], dLambda.ToArray<float>());
        float[] w = fold.W.ToArray<float>(), given = fold.DFoldedA.ToArray<float>();
        Assert.Equal([.. Enumerable.Range(0, 6).Select(i => given[3 + i] * w[i % 3])], dA.ToArray<float>());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void GradientsAreAddedToWhatIsThereWithTheBitsOfASum(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rank, int columns, int rows) in ((int, int, int)[])[(1, 1, 1), (3, 17, 9), (9, 5, 70)])
            foreach (FoldSums sums in (FoldSums[])[FoldSums.A, FoldSums.B | FoldSums.Lambda, FoldSums.A | FoldSums.B | FoldSums.Lambda])
            {
                using var scope = new TensorScope();
                Fold fold = Everything(device, rank, columns, rows, 1, rank + 2, false, 9);
                Tensor[] own = [fold.DA, fold.DB, fold.DLambda];
                Tensor[] before = [.. own.Select((gradient, i) => OpTesting.Floats(gradient.Shape, device, 40 + i))];
                Tensor[] expected = [.. own.Select((gradient, i) => ((int)sums >> i & 1) != 0 ? Sum(before[i], gradient) : gradient)];
                DeloraFoldKernel.Backward(
                    fold.A, fold.B, fold.W, fold.Scales, fold.DFoldedA, fold.DFoldedB, before[0], before[1], before[2], 1, sums: sums);
                for (int i = 0; i < 3; i++) Assert.Equal(expected[i].ToArray<double>(), before[i].ToArray<double>());
            }

        static Tensor Sum(Tensor a, Tensor b)
        {
            Tensor sum = OpTesting.Output(a.Shape, a.Device);
            AddKernel.Forward(a, b, sum);
            return sum;
        }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ManyBranchesAtOnceHaveTheBitsOfEachAlone(string name)
    {
        Device device = TestDevices.Get(name);
        using var scope = new TensorScope();
        (int Rank, int In, int Out)[] shapes = [(1, 1, 1), (3, 17, 9), (9, 5, 70), (4, 0, 5), (4, 5, 0), (2, 3, 3), (17, 2, 1), (8, 33, 32), (5, 6, 7),
            (1, 40, 2), (3, 3, 3)];
        Fold[] alone = [.. shapes.Select((shape, i) => Everything(device, shape.Rank, shape.In, shape.Out, i % 3, shape.Rank + 3, i % 2 == 1, 7 * i))];
        Fold[] outputs = [.. alone.Select(fold => fold with
        {
            Scales = OpTesting.Output(fold.Scales.Shape, device),
            FoldedA = OpTesting.Output(fold.FoldedA.Shape, device),
            FoldedB = OpTesting.Output(fold.FoldedB.Shape, device),
            DA = OpTesting.Output(fold.DA.Shape, device),
            DB = OpTesting.Output(fold.DB.Shape, device),
            DLambda = OpTesting.Output([1], device),
        })];
        DeloraFoldKernel.Forward(
            [.. outputs.Select((f, i) => new FoldForward(f.A, f.B, f.Lambda, f.W, f.Scales, f.FoldedA, f.FoldedB, i % 3, i % 2 == 1))]);
        FoldBackward[] back = [.. outputs.Select((f, i) => new FoldBackward(
            f.A, f.B, f.W, f.Scales, f.DFoldedA, f.DFoldedB, f.DA, f.DB, f.DLambda, i % 3, i % 2 == 1))];
        DeloraFoldKernel.Backward(back);
        for (int i = 0; i < alone.Length; i++)
            foreach (Func<Fold, Tensor> output in (Func<Fold, Tensor>[])[f => f.Scales, f => f.FoldedA, f => f.FoldedB, f => f.DA, f => f.DB, f => f.DLambda])
                Assert.Equal(output(alone[i]).ToArray<double>(), output(outputs[i]).ToArray<double>());

        // Some of them ask for part of it, one for nothing.
        Tensor[] dA = [.. alone.Select(fold => OpTesting.Output(fold.DA.Shape, device))];
        DeloraFoldKernel.Backward([.. back.Select((own, i) => own with { DA = dA[i], DB = null, DLambda = null, DFoldedB = i % 4 == 0 ? null : own.DFoldedB })]);
        for (int i = 0; i < alone.Length; i++)
            if (i % 4 != 0) Assert.Equal(alone[i].DA.ToArray<double>(), dA[i].ToArray<double>());
        DeloraFoldKernel.Forward([]);
        DeloraFoldKernel.Backward([back[0] with { DA = null, DB = null, DLambda = null }]);
        Assert.Throws<ArgumentException>(() => DeloraFoldKernel.Backward([back[0], back[0]]));
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ManyLayersAtOnceHaveTheGradientsOfEachAlone(string name)
    {
        // Shared λ, a shared A, a residual, a layer to which no gradient comes, and one that is frozen.
        Device device = TestDevices.Get(name);
        double[] Gradients(bool together)
        {
            using var scope = new TensorScope();
            using Parameter a = OpTesting.Parameter("A", [3, 4], device, 1), b = OpTesting.Parameter("B", [5, 3], device, 2),
                c = OpTesting.Parameter("B2", [2, 3], device, 3), unused = OpTesting.Parameter("A3", [2, 4], device, 4),
                lambda = OpTesting.Parameter("lambda", [1], device, 5);
            Tensor w = OpTesting.Floats([4], device, 6), a0 = OpTesting.Floats([3, 4], device, 7), b0 = OpTesting.Floats([5, 3], device, 8);
            Tensor plainB = OpTesting.Floats([5, 2], device, 9), plainLambda = OpTesting.Floats([1], device, 10);
            DeloraBranch[][] layers =
            [
                [new(a, b, lambda, w), new(a0, b0, lambda, w, Negative: true)], [new(a, c, lambda, w)], [new(unused, plainB, plainLambda, w)],
                [new(a0, b0, plainLambda, w)],
            ];
            using var tape = new Tape();
            (Tensor A, Tensor B)[] folded = together ? Functions.DeloraFoldAll(layers) : [.. layers.Select(layer => Functions.DeloraFold(layer))];
            Assert.Null(folded[3].A.GradientState);
            Assert.Equal(together ? 1 : 3, tape.Count);
            Tensor x = OpTesting.Floats([2, 4], device, 11);
            Tensor y = x.MatMul(folded[0].A, MatMulLayout.NT).MatMul(folded[0].B, MatMulLayout.NT);
            Tensor z = x.MatMul(folded[1].A, MatMulLayout.NT).MatMul(folded[1].B, MatMulLayout.NT);
            tape.Backward(y.Sum().Add(z.Sum()));
            Assert.Null(unused.Gradient);
            return [.. ((Parameter[])[a, b, c, lambda]).SelectMany(parameter => parameter.Gradient!.ToArray<double>())];
        }

        double[] alone = Gradients(together: false), together = Gradients(together: true);
        // Sums of parameters that layers share are added in another order.
        for (int i = 0; i < alone.Length; i++) Assert.Equal(alone[i], together[i], 1e-5 * Math.Max(1, Math.Abs(alone[i])));
        Assert.Empty(Functions.DeloraFoldAll());
    }

    [Fact]
    public void OneTensorThatIsBothFactorsGetsBothGradients()
    {
        using Parameter both = OpTesting.Parameter("AB", [3, 3], Devices.Reference, 1);
        using Parameter lambda = new("lambda", Tensor.From([1.5], [1], Devices.Reference));
        using Tensor w = Tensor.From([0.5, 2, 1], [3], Devices.Reference);
        GradientCheck.Numerical(() => Join(Functions.DeloraFold(new DeloraBranch(both, both, lambda, w))), [both, lambda]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ZeroRowsAndColumnsAreFinite(string name)
    {
        // Row 0 of A and column 1 of B are zero, column 2 of B is below the clamp.
        Device device = TestDevices.Get(name);
        float[] Compute(Device d)
        {
            using var scope = new TensorScope();
            Tensor a = Tensor.From([0f, 0, 1, 2, 3, 4], [3, 2], d), b = Tensor.From([1f, 0, 3e-5f, 2, 0, 4e-5f], [2, 3], d);
            Tensor lambda = Tensor.From([2f], [1], d), w = Tensor.From([0.5f, 0], [2], d);
            Tensor scales = OpTesting.Output([3, 3], d), foldedA = OpTesting.Output([3, 2], d), foldedB = OpTesting.Output([2, 3], d);
            DeloraFoldKernel.Forward(a, b, lambda, w, scales, foldedA, foldedB);
            Tensor dA = OpTesting.Output([3, 2], d), dB = OpTesting.Output([2, 3], d), dLambda = OpTesting.Output([1], d);
            DeloraFoldKernel.Backward(
                a, b, w, scales, OpTesting.Floats([3, 2], d, 3), OpTesting.Floats([2, 3], d, 4), dA, dB, dLambda);
            return [.. foldedA.ToArray<float>(), .. foldedB.ToArray<float>(), .. dA.ToArray<float>(), .. dB.ToArray<float>(),
                .. dLambda.ToArray<float>()];
        }
        float[] expected = Compute(Devices.Reference), actual = Compute(device);
        Assert.All(actual, value => Assert.True(float.IsFinite(value)));
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-5 * Math.Max(1, Math.Abs(expected[i])));
    }

    [Theory]
    [InlineData(1.5)]
    [InlineData(0.0)]
    [InlineData(-2.0)]
    public void GradientsMatchNumericalDifferentiation(double strength)
    {
        using Parameter a = OpTesting.Parameter("A", [3, 4], Devices.Reference, 1), b = OpTesting.Parameter("B", [5, 3],
            Devices.Reference, 2);
        using Parameter lambda = new("lambda", Tensor.From([strength], [1], Devices.Reference));
        using Tensor w = Tensor.From([0.5, 2, 0, 1], [4], Devices.Reference);
        GradientCheck.Numerical(() => Join(Functions.DeloraFold(new DeloraBranch(a, b, lambda, w))), [a, b, lambda]);
        GradientCheck.Numerical(() => Functions.DeloraFold(new DeloraBranch(a, b, lambda, w)).FoldedB, [b, lambda]);
        GradientCheck.Numerical(() => Functions.DeloraFold(new DeloraBranch(a, b, lambda, w, Negative: true)).FoldedB, [a, b, lambda]);
        GradientCheck.Numerical(() => Functions.DeloraFold(new DeloraBranch(a, b, lambda, w)).FoldedA, [a]);
    }

    [Theory]
    [InlineData(0.9e-4)]
    [InlineData(0.1e-4)]
    [InlineData(1.1e-4)]
    [InlineData(0.0)]
    public void GradientsNearAndBelowTheClampMatchNumericalDifferentiation(double norm)
    {
        // Row 0 of A and column 1 of B have that norm; steps of 1e-8 stay on their side of the clamp.
        using Parameter a = new("A", Tensor.From([0.6 * norm, 0.8 * norm, 1, 2], [2, 2], Devices.Reference));
        using Parameter b = new("B", Tensor.From([1, -0.8 * norm, 2, 0.6 * norm], [2, 2], Devices.Reference));
        using Parameter lambda = new("lambda", Tensor.From([0.01], [1], Devices.Reference));
        using Tensor w = Tensor.From([0.5, 2.0], [2], Devices.Reference);
        GradientCheck.Numerical(() => Join(Functions.DeloraFold(new DeloraBranch(a, b, lambda, w))), [a, b, lambda], step: 1e-8,
            tolerance: 1e-4);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter a = OpTesting.Parameter("A", [3, 4], device, 1), b = OpTesting.Parameter("B", [5, 3], device, 2);
        using Parameter lambda = new("lambda", Tensor.From([1.5f], [1], device));
        using Tensor w = Tensor.From([0.5f, 2, 0, 1], [4], device);
        GradientCheck.Directional(() => Join(Functions.DeloraFold(new DeloraBranch(a, b, lambda, w))), [a, b, lambda]);
    }

    [Fact]
    public void ResidualBranchesCancelAtTheStartAndShareLambda()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        using Parameter a = OpTesting.Parameter("A", [2, 3], device, 1), b = OpTesting.Parameter("B", [4, 2], device, 2);
        using Parameter lambda = new("lambda", Tensor.From([1.5], [1], device));
        Tensor a0 = Tensor.CopyOf(a, device), b0 = Tensor.CopyOf(b, device), w = Tensor.From([0.5, 2.0, 3], [3], device);
        (Tensor Folded, Tensor Update) Fold()
        {
            (Tensor foldedA, Tensor foldedB) = Functions.DeloraFold(new(a, b, lambda, w), new(a0, b0, lambda, w, Negative: true));
            Tensor update = Tensor.Empty([4, 3], DType.Float64, device);
            DeltaWeightKernel.Forward(foldedA, foldedB, update);
            return (Join((foldedA, foldedB)), update);
        }
        Assert.All(Fold().Update.ToArray<double>(), value => Assert.Equal(0, value, 1e-15));
        a.Value.CopyFrom<double>(OpTesting.Numbers(6, 7));
        GradientCheck.Numerical(() => Fold().Folded, [a, b, lambda]);
    }

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using var scope = new TensorScope();
        Device d = Devices.Reference;
        Tensor a = OpTesting.Floats([2, 3], d, 1), b = OpTesting.Floats([4, 2], d, 2), lambda = OpTesting.Floats([1], d, 3),
            w = OpTesting.Floats([3], d, 4);
        Tensor scales = OpTesting.Output([3, 2], d);
        Assert.Throws<ShapeException>(() => Functions.DeloraFold(new DeloraBranch(a, OpTesting.Floats([4, 3], d, 1), lambda, w)));
        Assert.Throws<ShapeException>(() => Functions.DeloraFold(new DeloraBranch(a, b, OpTesting.Floats([2], d, 1), w)));
        Assert.Throws<ShapeException>(() => Functions.DeloraFold(new DeloraBranch(a, b, lambda, OpTesting.Floats([4], d, 1))));
        Assert.Throws<ShapeException>(() => DeloraFoldKernel.Forward(a, b, lambda, w, scales, OpTesting.Output([3, 3], d), null,
            offset: 2));
        Assert.Throws<ShapeException>(() => DeloraFoldKernel.Forward(a, b, lambda, w, scales, null, OpTesting.Output([4, 3], d),
            offset: int.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => DeloraFoldKernel.Forward(a, b, lambda, w, scales, null, null, offset: -1));
        Assert.Throws<ArgumentException>(() => Functions.DeloraFold());
        Assert.Throws<ArgumentException>(() => DeloraFoldKernel.Backward(a, b, w, scales, null, null, a, null, null));
        using Parameter frozen = new("w", OpTesting.Floats([3], d, 1));
        Assert.Throws<GradientException>(() => Functions.DeloraFold(new DeloraBranch(a, b, lambda, frozen)));
    }

    private sealed record Fold(
        Tensor A, Tensor B, Tensor Lambda, Tensor W, Tensor Scales, Tensor FoldedA, Tensor FoldedB, Tensor DFoldedA, Tensor DFoldedB,
        Tensor DA,
        Tensor DB, Tensor DLambda);

    private static Fold Everything(Device d, int rank, int columns, int rows, int offset, int total, bool negative, int seed)
    {
        Tensor a = OpTesting.Floats([rank, columns], d, seed), b = OpTesting.Floats([rows, rank], d, seed + 1);
        Tensor lambda = OpTesting.Floats([1], d, seed + 2), w = OpTesting.Floats([columns], d, seed + 3);
        Tensor scales = OpTesting.Output([3, rank], d), foldedA = OpTesting.Output([total, columns], d),
            foldedB = OpTesting.Output([rows, total], d);
        DeloraFoldKernel.Forward(a, b, lambda, w, scales, foldedA, foldedB, offset, negative);
        Tensor dFoldedA = OpTesting.Floats(foldedA.Shape, d, seed + 4), dFoldedB = OpTesting.Floats(foldedB.Shape, d, seed + 5);
        Tensor dA = OpTesting.Output(a.Shape, d), dB = OpTesting.Output(b.Shape, d), dLambda = OpTesting.Output([1], d);
        DeloraFoldKernel.Backward(a, b, w, scales, dFoldedA, dFoldedB, dA, dB, dLambda, offset, negative);
        return new Fold(a, b, lambda, w, scales, foldedA, foldedB, dFoldedA, dFoldedB, dA, dB, dLambda);
    }

    /// <summary>The same numbers, and NaN (which the allocator put there) in the same places, outside of the branch.</summary>
    private static void CloseOrPoisoned(Tensor expected, Tensor actual)
    {
        double[] left = expected.ToArray<double>(), right = actual.ToArray<double>();
        Assert.Equal(left.Select(double.IsNaN), right.Select(double.IsNaN));
        OpTesting.Close([.. left.Where(double.IsFinite)], [.. right.Where(double.IsFinite)], 1e-5);
    }

    /// <summary>Both results as one tensor, so that gradients arrive at both.</summary>
    private static Tensor Join((Tensor A, Tensor B) pair)
    {
        double[] values = [.. pair.A.ToArray<double>(), .. pair.B.ToArray<double>()];
        Tensor joined = Tensor.From(values, [values.Length], pair.A.Device);
        Tape.For(pair.A, pair.B)?.Record(new JoinFunction(pair.A, pair.B, joined), joined);
        return joined;
    }

    private sealed class JoinFunction(Tensor a, Tensor b, Tensor joined) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            double[] gradient = flow.Of(joined).ToArray<double>();
            flow.Add(a, Tensor.From(gradient[..(int)a.ElementCount], a.Shape, a.Device));
            flow.Add(b, Tensor.From(gradient[(int)a.ElementCount..], b.Shape, b.Device));
        }
    }
}
