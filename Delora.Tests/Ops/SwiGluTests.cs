using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SwiGluTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string device) => ElementwiseCheck.Binary(device, SwiGluKernel.Forward, 2e-6);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BackwardMatchesTheReferenceAndComputesOnlyWhatIsWanted(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int n in ElementwiseCheck.Sizes(name))
            foreach ((bool gateWanted, bool upWanted) in ((bool, bool)[])[(true, true), (true, false), (false, true)])
                foreach (bool inPlace in (bool[])[false, true])
                    OpTesting.MatchesReference(device, d =>
                    {
                        Tensor gate = OpTesting.Floats([n], d, 1, 10), up = OpTesting.Floats([n], d, 2), dy = OpTesting.Floats([n], d, 3);
                        Tensor? dgate = gateWanted ? inPlace ? dy : OpTesting.Output([n], d) : null;
                        Tensor? dup = upWanted ? inPlace && !gateWanted ? dy : OpTesting.Output([n], d) : null;
                        SwiGluKernel.Backward(gate, up, dy, dgate, dup);
                        return Functions.Concat(0, dgate ?? gate, dup ?? up, dy);
                    }, 3e-6);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void LargeAndNotFiniteValues(string name)
    {
        using var scope = new TensorScope();
        const float Inf = float.PositiveInfinity;
        Device device = TestDevices.Get(name);
        Tensor gate = Tensor.From([3e38f, -3e38f, Inf, -Inf, float.NaN, 1], [6], device);
        Tensor up = Tensor.From([1f, 1, 2, 1, 1, float.NaN], [6], device), dgate = OpTesting.Output([6], device);
        float[] y = gate.SwiGlu(up).ToArray<float>();
        Assert.Equal([3e38f, 0, Inf], y[..3]);
        Assert.All(y[3..], value => Assert.True(float.IsNaN(value)));
        SwiGluKernel.Backward(gate, up, Tensor.From([1f, 1, 1, 1, 1, 1], [6], device), dgate, null);
        Assert.Equal([1f, 0], dgate.ToArray<float>()[..2]);
    }

    [Fact]
    public void ItIsSiluTimesUp()
    {
        using var scope = new TensorScope();
        Tensor gate = OpTesting.Floats([3, 7], Devices.Reference, 1, 5), up = OpTesting.Floats([3, 7], Devices.Reference, 2);
        OpTesting.Close(gate.Silu().Multiply(up).ToArray<double>(), gate.SwiGlu(up).ToArray<double>(), 1e-15);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void Gradients(string device)
    {
        using Tensor constant = OpTesting.Floats([3, 5], TestDevices.Get(device), 4);
        ElementwiseCheck.Gradients(device, p => p[0].Value.SwiGlu(p[1]), [3, 5], [3, 5]);
        ElementwiseCheck.Gradients(device, x => x.SwiGlu(constant), 3, 5);
        ElementwiseCheck.Gradients(device, x => constant.SwiGlu(x), 3, 5);
        ElementwiseCheck.Gradients(device, x => x.SwiGlu(x), 3, 5);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() =>
        OpTesting.IndependentOfThreads(d =>
        {
            Tensor dy = OpTesting.Floats([50_021], d, 3);
            SwiGluKernel.Backward(OpTesting.Floats([50_021], d, 1), OpTesting.Floats([50_021], d, 2), dy, dy, null);
            return dy;
        });

    [Fact]
    public void WhatDoesNotFitIsRefused()
    {
        using var scope = new TensorScope();
        Tensor x = OpTesting.Floats([2, 3], Devices.Cpu, 1), y = OpTesting.Floats([3, 2], Devices.Cpu, 1);
        Assert.Equal("SwiGlu: shapes differ: gate [2, 3], up [3, 2]", Assert.Throws<ShapeException>(() => x.SwiGlu(y)).Message);
        Assert.Throws<ShapeException>(() => SwiGluKernel.Backward(x, x, x, null, y));
        Assert.Throws<ArgumentException>(() => SwiGluKernel.Backward(x, x, x, x, x));
    }
}
