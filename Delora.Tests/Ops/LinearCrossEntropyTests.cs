using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class LinearCrossEntropyTests
{
    private static readonly (int Rows, int Dim, int Vocabulary)[] s_sizes = [(1, 1, 1), (3, 31, 32), (5, 7, 33), (33, 16, 9), (2, 129, 127), (65, 5, 1025)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void LossAndGradientsMatchTheReferenceInBlocksOfAnySize(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int dim, int vocabulary) in s_sizes)
            foreach (int blockRows in (int[])[1, 2, 1000])
            {
                if (name == "simulator" && (rows * vocabulary > 300 || blockRows == 1)) continue;
                // Tens of launches for each run.
                if (name == "interpreter" && rows * vocabulary > 2000 && blockRows < 1000) continue;
                foreach (bool frozen in (bool[])[false, true])
                    foreach (int part in frozen ? (int[])[0, 1] : [0, 1, 2])
                        OpTesting.MatchesReference(device, d => Run(d, rows, dim, vocabulary, blockRows * vocabulary, frozen, part), 1e-5);
            }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ItIsTheProductAndTheCrossEntropy(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter x = OpTesting.Parameter("x", [2, 3, 5], device, 1, 2), weight = OpTesting.Parameter("w", [11, 5], device, 2, 2);
        using Tensor labels = Labels(device, [2, 3], 11);
        double[][][] results = [.. ((Func<Tensor>[])[() => x.Value.LinearCrossEntropy(weight.Value, labels), () => x.Value.Linear(weight).CrossEntropy(labels)]).Select(compute =>
        {
            using var tape = new Tape();
            Tensor loss = compute();
            tape.Backward(loss, Tensor.From([0.7], [], device));
            double[][] values = [loss.ToArray<double>(), x.Gradient!.ToArray<double>(), weight.Gradient!.ToArray<double>()];
            x.ZeroGradient();
            weight.ZeroGradient();
            return values;
        })];
        for (int i = 0; i < 3; i++) OpTesting.Close(results[1][i], results[0][i], 1e-5);
    }

    [Fact]
    public void WithoutATapeAndWithOneGiveTheSameLoss()
    {
        using Parameter x = OpTesting.Parameter("x", [9, 5], Devices.Cpu, 1, 2);
        using Tensor w = OpTesting.Floats([11, 5], Devices.Cpu, 2), labels = Labels(Devices.Cpu, [9], 11);
        using FrozenWeight weight = FrozenWeight.Create(w);
        using Tensor plain = x.Value.LinearCrossEntropy(weight, labels);
        using var tape = new Tape();
        Assert.Equal(plain.ToScalar(), x.Value.LinearCrossEntropy(weight, labels).ToScalar(), 1e-6);
        Assert.Equal(1, tape.Count);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void HugeLogitsStayFiniteAndIgnoredRowsCountForNothing(string name)
    {
        Device device = TestDevices.Get(name);
        OpTesting.MatchesReference(device, d =>
        {
            Tensor x = OpTesting.Floats([4, 6], d, 1, 1e3), w = OpTesting.Floats([7, 6], d, 2, 10);
            // An ignored row may hold anything.
            double[] numbers = x.ToArray<double>();
            numbers.AsSpan(6, 6).Fill(double.NaN);
            x.CopyFrom<double>(numbers);
            Tensor loss = OpTesting.Output([], d), dx = OpTesting.Output([4, 6], d), dweight = OpTesting.Output([7, 6], d);
            Assert.Equal(2, LinearCrossEntropyKernel.Forward(x, w, Tensor.From([3, -100, 0, -100], [4], d), loss, dx, dweight));
            double[] gradient = dx.ToArray<double>();
            Assert.All(gradient[6..12].Concat(gradient[18..]), value => Assert.Equal(0, value));
            return Tensor.From([loss.ToScalar(), .. gradient, .. dweight.ToArray<double>()], [67], d);
        }, 1e-4);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void LabelsOutOfRangeAndAllMaskedAreErrors(string name)
    {
        Device device = TestDevices.Get(name);
        using var scope = new TensorScope("labels");
        Tensor x = OpTesting.Floats([2, 3], device, 1), w = OpTesting.Floats([5, 3], device, 2);
        Assert.Contains("element 1", Assert.Throws<IndexException>(() => x.LinearCrossEntropy(w, Tensor.From([4, 5], [2], device))).Message);
        Assert.Throws<IndexException>(() => x.LinearCrossEntropy(w, Tensor.From([-100, -100], [2], device)));
        Assert.Contains("[2, 3]", Assert.Throws<ShapeException>(() => x.LinearCrossEntropy(OpTesting.Floats([5, 4], device, 2), Tensor.From([0, 0], [2], device))).Message);
    }

    [Fact]
    public void TwoPassesOverOneTapeGiveTwiceTheGradient()
    {
        using Parameter x = OpTesting.Parameter("x", [3, 4], Devices.Cpu, 1);
        using Tensor w = OpTesting.Floats([6, 4], Devices.Cpu, 2), labels = Labels(Devices.Cpu, [3], 6);
        using var tape = new Tape();
        Tensor loss = x.Value.LinearCrossEntropy(w, labels);
        tape.Backward(loss, retain: true);
        float[] once = x.Gradient!.ToArray<float>();
        tape.Backward(loss);
        Assert.Equal(once.Select(value => 2 * value), x.Gradient!.ToArray<float>());
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads()
    {
        foreach (int part in (int[])[0, 1, 2])
            OpTesting.IndependentOfThreads(d => Run(d, 517, 24, 133, 64 * 133, frozen: false, part));
        foreach (int part in (int[])[0, 1])
            OpTesting.IndependentOfThreads(d => Run(d, 517, 24, 133, 64 * 133, frozen: true, part));
    }

    [Fact]
    public void ThereIsNeverATensorOfAllScores()
    {
        const int Rows = 3200, Vocabulary = 8192;
        using var cpu = new CpuDevice();
        using Tensor x = OpTesting.Floats([Rows, 4], cpu, 1), w = OpTesting.Floats([Vocabulary, 4], cpu, 2);
        using Tensor labels = Labels(cpu, [Rows], Vocabulary), loss = OpTesting.Output([], cpu), dx = OpTesting.Output([Rows, 4], cpu);
        cpu.Memory.ResetPeak();
        LinearCrossEntropyKernel.Forward(x, w, labels, loss, dx, null);
        Assert.InRange(cpu.Memory.Statistics.PeakBytesInUse, 1, Rows * (long)Vocabulary * sizeof(float) / 2);
    }

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter x = OpTesting.Parameter("x", [6, 4], Devices.Reference, 6), w = OpTesting.Parameter("w", [5, 4], Devices.Reference, 7);
        using FrozenWeight frozen = FrozenWeight.Create(w.Value);
        using Tensor labels = Labels(Devices.Reference, [6], 5);
        GradientCheck.Numerical(() => x.Value.LinearCrossEntropy(w.Value, labels), [x, w]);
        GradientCheck.Numerical(() => x.Value.LinearCrossEntropy(frozen, labels), [x]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        Device device = TestDevices.Get(name);
        using Parameter x = OpTesting.Parameter("x", [6, 4], device, 6), w = OpTesting.Parameter("w", [5, 4], device, 7);
        using Tensor labels = Labels(device, [6], 5);
        GradientCheck.Directional(() => x.Value.LinearCrossEntropy(w.Value, labels), [x, w]);
    }

    /// <summary>Part 0 is the loss, 1 the gradient of x, 2 that of the weight.</summary>
    private static Tensor Run(Device device, int rows, int dim, int vocabulary, int blockElements, bool frozen, int part)
    {
        Tensor x = OpTesting.Floats([rows, dim], device, rows), w = OpTesting.Floats([vocabulary, dim], device, dim), labels = Labels(device, [rows], vocabulary);
        Tensor loss = OpTesting.Output([], device), dx = OpTesting.Output([rows, dim], device), dweight = OpTesting.Output([vocabulary, dim], device);
        using FrozenWeight? weight = frozen ? FrozenWeight.Create(w) : null;
        LinearCrossEntropyKernel.Forward(x, weight is null ? new VocabularyWeight(w) : new VocabularyWeight(weight), labels, loss, dx,
            frozen ? null : dweight, CrossEntropyKernel.IgnoreIndex, blockElements);
        return part == 0 ? loss : part == 1 ? dx : dweight;
    }

    private static Tensor Labels(Device device, Shape shape, int classes)
    {
        int[] labels = OpTesting.Ids(checked((int)shape.ElementCount), classes, 11);
        for (int i = 1; i < labels.Length; i += 4) labels[i] = CrossEntropyKernel.IgnoreIndex;
        return Tensor.From(labels, shape, device);
    }
}
