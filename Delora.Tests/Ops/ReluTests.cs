using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ReluTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void Forward(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int n in new[] { 0, 1, 31, 33 })
        {
            var v = new float[n];
            for (int i = 0; i < n; i++) v[i] = i - 10;
            using Tensor x = Tensor.From(v, [n], device);
            using Tensor y = Tensor.Empty([n], DType.Float32, device);
            ReluKernel.Forward(x, y);
            Assert.Equal(v.Select(a => Math.Max(a, 0)), y.ToArray<float>());
        }
    }
}
