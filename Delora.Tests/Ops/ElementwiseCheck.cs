using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>What every elementwise op is tested for: results beside the reference device at odd sizes, in place, special values,
/// gradients.</summary>
internal static class ElementwiseCheck
{
    /// <summary>Reproducible values in [−range, range).</summary>
    internal static float[] Values(int count, ulong seed, float range = 4)
    {
        var values = new float[count];
        new Generator(seed).FillUniform(values, -range, range);
        return values;
    }

    /// <summary>0, 1, and around the vector widths and chunk borders; fewer where the simulator runs.</summary>
    internal static int[] Sizes(string device) => device == "simulator" ? [0, 1, 31, 33] : [0, 1, 31, 32, 33, 127, 129, 1025, 40_003];

    internal static void Unary(string device, Action<Tensor, Tensor> kernel, double tolerance, float range = 10)
    {
        foreach (int n in Sizes(device))
        {
            float[] x = Values(n, 1, range);
            double[] expected = Run(Devices.Reference), actual = Run(TestDevices.Get(device));
            AssertClose(expected, actual, tolerance, $"{n} elements");

            double[] Run(Device on)
            {
                using Tensor input = Tensor.From(x, [n], on), y = Tensor.Empty([n], on.FloatType, on);
                kernel(input, y);
                double[] result = y.ToArray<double>();
                kernel(input, input);
                Assert.Equal(result, input.ToArray<double>());
                return result;
            }
        }
        // NaN stays NaN in every lane and in the tail, and where it is alone.
        float[] marked = [.. Values(33, 3, range).Select((value, i) => i % 3 == 1 ? float.NaN : value)];
        Assert.Equal(marked.Select(float.IsNaN), On(device, kernel, marked).Select(float.IsNaN));
        Assert.All(On(device, kernel, [.. Enumerable.Repeat(float.NaN, 33)]), value => Assert.True(float.IsNaN(value)));
    }

    /// <param name="device">Name of the test device.</param>
    /// <param name="kernel">f(a, b, y).</param>
    /// <param name="tolerance">Relative to max(1, |expected|).</param>
    /// <param name="map">Applied to the first operand, for instance to make it the result of a forward pass.</param>
    internal static void Binary(string device, Action<Tensor, Tensor, Tensor> kernel, double tolerance, Func<float, float>? map = null,
        float range = 10)
    {
        foreach (int n in Sizes(device))
        {
            float[] a = [.. Values(n, 1, range).Select(map ?? (value => value))], b = Values(n, 2);
            double[] expected = Run(Devices.Reference), actual = Run(TestDevices.Get(device));
            AssertClose(expected, actual, tolerance, $"{n} elements");

            double[] Run(Device on)
            {
                using Tensor left = Tensor.From(a, [n], on), right = Tensor.From(b, [n], on), y = Tensor.Empty([n], on.FloatType, on);
                kernel(left, right, y);
                double[] result = y.ToArray<double>();
                kernel(left, right, right);
                Assert.Equal(result, right.ToArray<double>());
                return result;
            }
        }
    }

    /// <summary>One result per special input.</summary>
    internal static float[] On(string device, Action<Tensor, Tensor> kernel, params float[] x)
    {
        Device on = TestDevices.Get(device);
        using Tensor input = Tensor.From(x, [x.Length], on), y = Tensor.Empty([x.Length], on.FloatType, on);
        kernel(input, y);
        return y.ToArray<float>();
    }

    /// <summary>Numerical differentiation on the reference device, the directional check on the others.</summary>
    internal static void Gradients(string device, Func<Tensor, Tensor> function, params int[] dims) =>
        Gradients(device, parameters => function(parameters[0].Value), dims);

    internal static void Gradients(string device, Func<Parameter[], Tensor> function, params int[][] shapes)
    {
        Device on = device == "reference" ? Devices.Reference : TestDevices.Get(device);
        Parameter[] parameters = [.. shapes.Select((dims, i) =>
            new Parameter($"p{i}", Tensor.From(Values(dims.Aggregate(1, (a, b) => a * b), (ulong)(i + 7), 2), [.. dims], on)))];
        try
        {
            if (on is ReferenceDevice) GradientCheck.Numerical(() => function(parameters), parameters);
            else GradientCheck.Directional(() => function(parameters), parameters);
        }
        finally
        {
            foreach (Parameter parameter in parameters) parameter.Dispose();
        }
    }

    internal static void AssertClose(double[] expected, double[] actual, double tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            // Not "error > tolerance": NaN must fail.
            if (!(Math.Abs(actual[i] - expected[i]) <= tolerance * Math.Max(1, Math.Abs(expected[i]))))
                Assert.Fail($"{what}: element {i} is {actual[i]:R}, not {expected[i]:R}");
    }
}
