using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class GlobalNormTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        int[][] lists = [[], [0], [1], [31], [32, 0, 33], [127, 129], [1025, 1, 70_001]];
        foreach (int[] lengths in lists)
        {
            if (name == "simulator" && lengths.Sum() > 300) continue;
            OpTesting.MatchesReference(device, d => Norm(d, [.. lengths.Select(n => OpTesting.Floats([n], d, n))]), 2e-7);
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void NoValueIsTooLargeAndNothingIsHidden(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Assert.Equal(5e30f, Norm(device, Tensor.From([3e30f], [1], device), Tensor.From([-4e30f, 0], [2], device)).ToArray<float>()[0]);
        Assert.True(double.IsNaN(Norm(device, Tensor.From([1, float.NaN, 2], [3], device)).ToScalar()));
        Assert.Equal(double.PositiveInfinity, Norm(device, Tensor.From([1, float.NegativeInfinity, 2], [3], device)).ToScalar());
    }

    [Fact]
    public void ThePairsOfFloat32AreAsGood()
    {
        using var scope = new TensorScope();
        var simulator = (GpuDevice)TestDevices.Get("simulator");
        Tensor norm = OpTesting.Output([1], simulator);
        GpuGlobalNorm.Forward<Float32PairSum>(simulator, [OpTesting.Floats([3001], simulator, 1)], norm);
        Assert.Equal(Norm(Devices.Reference, OpTesting.Floats([3001], Devices.Reference, 1)).ToScalar(), norm.ToScalar(), 4e-6);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() =>
        OpTesting.IndependentOfThreads(d => Norm(d, OpTesting.Floats([100_003], d, 5), OpTesting.Floats([50_001], d, 6)));

    [Fact]
    public void DevicesThatDifferAreRefused()
    {
        using var scope = new TensorScope();
        Assert.Throws<DeviceException>(() => Norm(Devices.Reference, OpTesting.Floats([3], Devices.Cpu, 1)));
    }

    private static Tensor Norm(Device device, params Tensor[] tensors)
    {
        Tensor norm = OpTesting.Output([1], device);
        GlobalNormKernel.Forward(norm, tensors);
        return norm;
    }
}
