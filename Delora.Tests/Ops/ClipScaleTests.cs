using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ClipScaleTests
{
    // As torch.nn.utils.clip_grad_norm_: max_norm / (norm + 1e-6), at most 1.
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ShortensOnlyWhatIsTooLong(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Assert.Equal(1, Scale(device, 0, 1));
        Assert.Equal(1, Scale(device, 0.5f, 1));
        Assert.Equal(1 / 1.000001, Scale(device, 1, 1), 1e-7);
        Assert.Equal(2.0 / 8.000001, Scale(device, 8, 2), 1e-7);
        Assert.Equal(0, Scale(device, float.PositiveInfinity, 1));
        Assert.True(double.IsNaN(Scale(device, float.NaN, 1)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(float.NaN)]
    public void ALimitThatIsNoneIsRefused(float maxNorm)
    {
        using var scope = new TensorScope();
        Assert.Throws<ArgumentOutOfRangeException>(() => Scale(Devices.Reference, 1, maxNorm));
    }

    private static double Scale(Device device, float norm, float maxNorm)
    {
        Tensor scale = OpTesting.Output([1], device);
        ClipScaleKernel.Forward(Tensor.From([norm], [1], device), maxNorm, scale);
        return scale.ToScalar();
    }
}
