using Delora.Core;

namespace Delora.Nn;

/// <summary>Random initial values, made on the host from a <see cref="Generator"/>: the same numbers on every device.</summary>
public static class Initialization
{
    /// <summary>Uniform in [−bound, bound).</summary>
    public static Tensor Uniform(Shape shape, double bound, Device device, Generator generator, string name)
    {
        if (device.IsPlanning) return Tensor.Empty(shape, device.FloatType, device, name);
        var values = new float[checked((int)shape.ElementCount)];
        generator.FillUniform(values, (float)-bound, (float)bound);
        return Tensor.From(values, shape, device, name);
    }

    /// <summary>Normal with mean 0.</summary>
    public static Tensor Normal(Shape shape, double standardDeviation, Device device, Generator generator, string name)
    {
        if (device.IsPlanning) return Tensor.Empty(shape, device.FloatType, device, name);
        var values = new float[checked((int)shape.ElementCount)];
        generator.FillNormal(values, 0, (float)standardDeviation);
        return Tensor.From(values, shape, device, name);
    }

    /// <summary>
    /// PyTorch's default for linear layers, Kaiming uniform with a = √5: U(−1/√fan_in, 1/√fan_in), fan_in being the columns of [out, in].
    /// </summary>
    public static Tensor KaimingUniform(Shape shape, Device device, Generator generator, string name) =>
        Uniform(shape, 1 / Math.Sqrt(Math.Max(shape.Columns, 1)), device, generator, name);
}
