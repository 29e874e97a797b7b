using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ClampTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void NumbersComeIntoTheirRangesAndNaNStays(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        // More tensors than a launch takes, of several sizes.
        Tensor[] tensors = [.. Enumerable.Range(0, 19).Select(i => OpTesting.Floats([i % 4 + 1], device, i, 3))];
        ClampRange[] ranges =
        [
            .. tensors.Select((_, i) => (i % 4) switch
            {
                0 => new ClampRange(-1, 0.5),
                1 => new ClampRange(2, 2),
                2 => new ClampRange(double.NegativeInfinity, double.PositiveInfinity),
                _ => new ClampRange(0.25, double.PositiveInfinity),
            }),
        ];
        double[][] before = [.. tensors.Select(tensor => tensor.ToArray<double>())];
        ClampKernel.Forward(tensors, ranges);
        for (int i = 0; i < tensors.Length; i++)
            Assert.Equal(before[i].Select(x => Math.Min(Math.Max(x, ranges[i].Min), ranges[i].Max)), tensors[i].ToArray<double>());
        Tensor nan = Tensor.From([double.NaN, 3], [2], device);
        ClampKernel.Forward([nan], [new(0, 1)]);
        Assert.Equal([double.NaN, 1], nan.ToArray<double>());
        ClampKernel.Forward([], []);
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void AClosedGateLeavesEverythingAsItIs(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        foreach ((double gate, double expected) in ((double, double)[])[(double.NaN, 3), (1, 3), (0, 2)])
        {
            Tensor x = Tensor.From([3.0], [1], device);
            ClampKernel.Forward([x], [new(1, 2)], Tensor.From([gate], [1], device));
            Assert.Equal(expected, x.ToScalar());
        }
    }

    [Fact]
    public void WhatIsNoRangeIsRefused()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.From([3.0], [1], Devices.Cpu);
        Assert.Throws<ArgumentException>(() => ClampKernel.Forward([x], [new(2, 1)]));
        Assert.Throws<ArgumentException>(() => ClampKernel.Forward([x], [new(double.NaN, 1)]));
        Assert.Throws<ArgumentException>(() => ClampKernel.Forward([x], []));
        Assert.Throws<ShapeException>(() => ClampKernel.Forward([x], [new(1, 2)], Tensor.From([0.0, 0], [2], Devices.Cpu)));
        Assert.Throws<DeviceException>(() => ClampKernel.Forward([x, Tensor.From([3.0], [1], Devices.Reference)], [new(1, 2), new(1, 2)]));
        Assert.Equal(3, x.ToScalar());
    }
}
