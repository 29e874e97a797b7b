using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class CrossEntropyTests
{
    private static readonly (int Rows, int Classes)[] s_sizes = [(1, 1), (1, 31), (3, 32), (5, 33), (33, 7), (2, 1025), (129, 127)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void LossAndGradientMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rows, int classes) in s_sizes)
        {
            if (name == "simulator" && rows * classes > 300) continue;
            foreach (int part in (int[])[0, 1, 2]) OpTesting.MatchesReference(device, d => Run(d, rows, classes, scale: 10, part), 3e-6);
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void RowLossesMatchTheReferenceAlsoWithoutRows(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int rows in (int[])[0, 1, 9])
            OpTesting.MatchesReference(device, d =>
            {
                Tensor losses = OpTesting.Output([rows], d), z = OpTesting.Output([rows], d), dx = OpTesting.Output([rows, 21], d);
                Tensor logits = OpTesting.Floats([rows, 21], d, 1, 4), labels = Labels(d, rows, 21);
                Assert.Equal(labels.ToArray<int>().Count(label => label >= 0), CrossEntropyKernel.ForwardRows(logits, labels, losses, z));
                CrossEntropyKernel.BackwardRows(logits, labels, z, losses, dx);
                return dx;
            });
    }

    [Fact]
    public void TheReferenceIsTheFormula()
    {
        Device device = Devices.Reference;
        using Tensor logits = Tensor.From([1.0, 2, 3, 9, 9, 9, 0, 0, 0], [3, 3], device), labels = Tensor.From([2, -100, 0], [3], device);
        using Tensor loss = logits.CrossEntropy(labels);
        double first = Math.Log(Math.E + Math.Exp(2) + Math.Exp(3)) - 3;
        Assert.Equal((first + Math.Log(3)) / 2, loss.ToScalar(), 1e-14);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void HugeLogitsStayFinite(string name) => OpTesting.MatchesReference(TestDevices.Get(name), d => Run(d, 7, 13, 1e4, part: 2));

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void TheGradientMayOverwriteTheLogits(string name) =>
        OpTesting.MatchesReference(TestDevices.Get(name), d =>
        {
            Tensor logits = OpTesting.Floats([4, 9], d, 3), labels = Labels(d, 4, 9);
            Tensor loss = OpTesting.Output([], d), z = OpTesting.Output([4], d);
            int count = CrossEntropyKernel.Forward(logits, labels, loss, z);
            CrossEntropyKernel.Backward(logits, labels, z, loss, logits, count);
            return logits;
        });

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void LabelsOutOfRangeAndAllMaskedAreErrors(string name)
    {
        foreach (Device device in (Device[])[TestDevices.Get(name), Devices.Reference])
        {
            using var scope = new TensorScope("labels");
            Tensor logits = OpTesting.Floats([4, 5], device, 1);
            foreach (int bad in (int[])[5, -1, int.MaxValue, int.MinValue, -101])
            {
                Tensor labels = Tensor.From([1, -100, bad, bad], [4], device);
                string message = Assert.Throws<IndexException>(() => logits.CrossEntropy(labels)).Message;
                Assert.Contains("element 2", message);
                Assert.Contains(bad.ToString(System.Globalization.CultureInfo.InvariantCulture), message);
            }
            Assert.Throws<IndexException>(() => logits.CrossEntropy(Tensor.From([-100, -100, -100, -100], [4], device)));
            Assert.Throws<IndexException>(() =>
                OpTesting.Floats([0, 5], device, 1).CrossEntropy(Tensor.From(Array.Empty<int>(), [0], device)));
            // −100 is nothing special where another label is the ignored one.
            Assert.Throws<IndexException>(() => logits.CrossEntropy(Tensor.From([-100, 7, 7, 2], [4], device), ignoreIndex: 7));
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void AnotherIgnoredLabelAndLeadingDimensions(string name) =>
        OpTesting.MatchesReference(TestDevices.Get(name), d =>
            OpTesting.Floats([2, 3, 5], d, 2).CrossEntropy(Tensor.From([0, 7, 4, 7, 7, 1], [2, 3], d), ignoreIndex: 7));

    [Fact]
    public void TheBitsDoNotDependOnThreads()
    {
        OpTesting.IndependentOfThreads(d => Run(d, 517, 33, 4, part: 0));
        OpTesting.IndependentOfThreads(d => Run(d, 517, 33, 4, part: 2));
    }

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter logits = OpTesting.Parameter("logits", [6, 5], Devices.Reference, 6);
        using Tensor labels = Labels(Devices.Reference, 6, 5);
        GradientCheck.Numerical(() => logits.Value.CrossEntropy(labels), [logits]);
        GradientCheck.Numerical(() => logits.Value.CrossEntropyRows(labels), [logits]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter logits = OpTesting.Parameter("logits", [6, 5], TestDevices.Get(name), 7);
        using Tensor labels = Labels(TestDevices.Get(name), 6, 5);
        GradientCheck.Directional(() => logits.Value.CrossEntropy(labels), [logits]);
        GradientCheck.Directional(() => logits.Value.CrossEntropyRows(labels), [logits]);
    }

    /// <summary>Part 0 is the loss, 1 the log-sum-exp, 2 the gradient of the logits.</summary>
    private static Tensor Run(Device device, int rows, int classes, double scale, int part)
    {
        Tensor logits = OpTesting.Floats([rows, classes], device, rows, scale), labels = Labels(device, rows, classes);
        Tensor loss = OpTesting.Output([], device), z = OpTesting.Output([rows], device);
        Tensor dlogits = OpTesting.Output([rows, classes], device);
        int count = CrossEntropyKernel.Forward(logits, labels, loss, z);
        CrossEntropyKernel.Backward(logits, labels, z, OpTesting.Floats([], device, 5), dlogits, count);
        return part == 0 ? loss : part == 1 ? z : dlogits;
    }

    private static Tensor Labels(Device device, int rows, int classes)
    {
        int[] labels = OpTesting.Ids(rows, classes, 11);
        for (int i = 1; i < rows; i += 4) labels[i] = CrossEntropyKernel.IgnoreIndex;
        return Tensor.From(labels, [rows], device);
    }
}
