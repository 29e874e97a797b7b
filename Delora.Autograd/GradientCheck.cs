using System.Globalization;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

/// <summary>
/// Compares the gradients of a computation with numerical differentiation, for everybody who writes a <see cref="Function"/>. The outputs y of
/// the computation are reduced to L = Σ c∘y with fixed random c, so that an error in any output shows.
/// </summary>
public static class GradientCheck
{
    /// <summary>
    /// Checks every element of every parameter by central differences, (L(p+h) − L(p−h)) / 2h, in float64 on the reference device.
    /// </summary>
    /// <param name="computation">Computes y from the parameters, the same way each time it is called.</param>
    /// <param name="parameters">The parameters to check; their values are restored.</param>
    /// <param name="step">h, relative to max(1, |p|).</param>
    /// <param name="tolerance">Largest allowed |gradient − numerical| / max(1, |numerical|).</param>
    /// <exception cref="GradientException">A gradient is wrong or missing; the message names parameter and element.</exception>
    /// <exception cref="DeviceException">A parameter does not lie on the reference device.</exception>
    public static void Numerical(Func<Tensor> computation, IReadOnlyList<Parameter> parameters, double step = 1e-5, double tolerance = 1e-6)
    {
        foreach (Parameter parameter in parameters)
            if (parameter.Value.Device is not ReferenceDevice)
                throw new DeviceException($"GradientCheck.Numerical: '{parameter.Name}' lies on {parameter.Value.Device.Name}; only float64 on the reference device makes central differences trustworthy. Use Directional there.");
        double[] weights = Analytical(computation, parameters, out double[][] gradients);
        for (int p = 0; p < parameters.Count; p++)
        {
            Parameter parameter = parameters[p];
            double[] original = parameter.Value.ToArray<double>();
            try
            {
                for (int i = 0; i < original.Length; i++)
                {
                    double h = step * Math.Max(1, Math.Abs(original[i]));
                    double[] moved = [.. original];
                    moved[i] = original[i] + h;
                    parameter.Value.CopyFrom<double>(moved);
                    double above = Evaluate(computation, weights);
                    moved[i] = original[i] - h;
                    parameter.Value.CopyFrom<double>(moved);
                    double below = Evaluate(computation, weights);
                    double numerical = (above - below) / (2 * h);
                    Compare($"element {i} of parameter '{parameter.Name}' {parameter.Shape}", gradients[p][i], numerical, tolerance);
                }
            }
            finally
            {
                parameter.Value.CopyFrom<double>(original);
            }
        }
    }

    /// <summary>
    /// Checks the derivative along one direction through all parameters, (L(p+h·d) − L(p−h·d)) / 2h against Σ gradient∘d. Works on every
    /// device; two evaluations, whatever the size.
    /// </summary>
    /// <remarks>
    /// d has random lengths and the signs of the gradient, random ones where that is 0. In a direction of random signs the terms of many elements would
    /// cancel but for their root, and an error as large as the derivative itself would stay below any tolerance that rounding allows.
    /// </remarks>
    /// <param name="computation">Computes y from the parameters, the same way each time it is called.</param>
    /// <param name="parameters">The parameters to check; their values are restored.</param>
    /// <param name="step">h. In float32 rounding asks for a large one.</param>
    /// <param name="tolerance">Largest allowed difference, relative to Σ gradient∘d, which is Σ |gradient∘d|.</param>
    /// <param name="seed">Chooses the lengths.</param>
    /// <exception cref="GradientException">The derivative is wrong, or a gradient is missing.</exception>
    public static void Directional(Func<Tensor> computation, IReadOnlyList<Parameter> parameters, double step = 1e-2, double tolerance = 1e-2, int seed = 1)
    {
        double[] weights = Analytical(computation, parameters, out double[][] gradients);
        var random = new Random(seed);
        double[][] originals = [.. parameters.Select(parameter => parameter.Value.ToArray<double>())];
        double[][] directions = [.. gradients.Select(values => values.Select(Along).ToArray())];
        double expected = gradients.Zip(directions, (gradient, direction) => gradient.Zip(direction, (g, d) => g * d).Sum()).Sum();
        try
        {
            double above = At(step), below = At(-step);
            double numerical = (above - below) / (2 * step);
            if (!(Math.Abs(expected - numerical) <= tolerance * Math.Max(expected, 1e-3)))
                throw Wrong("the derivative along the gradient's signs", expected, numerical);
        }
        finally
        {
            for (int p = 0; p < parameters.Count; p++) parameters[p].Value.CopyFrom<double>(originals[p]);
        }

        double Along(double gradient) => (gradient == 0 ? random.Next(2) * 2 - 1 : gradient < 0 ? -1 : 1) * random.NextDouble();

        double At(double distance)
        {
            for (int p = 0; p < parameters.Count; p++)
                parameters[p].Value.CopyFrom<double>([.. originals[p].Zip(directions[p], (value, d) => value + distance * d)]);
            return Evaluate(computation, weights);
        }
    }

    private static double[] Analytical(Func<Tensor> computation, IReadOnlyList<Parameter> parameters, out double[][] gradients)
    {
        foreach (Parameter parameter in parameters) parameter.ZeroGradient();
        using (var tape = new Tape("gradient check"))
        {
            Tensor y = computation();
            var random = new Random(20250425);
            double[] weights = [.. Enumerable.Range(0, checked((int)y.ElementCount)).Select(_ => random.NextDouble() * 2 - 1)];
            tape.Backward(y, Tensor.From(weights, y.Shape, y.Device, "weights of the outputs"));
            gradients = new double[parameters.Count][];
            for (int p = 0; p < parameters.Count; p++)
            {
                Tensor gradient = parameters[p].Gradient ?? throw new GradientException($"No gradient reached parameter '{parameters[p].Name}' {parameters[p].Shape}.");
                gradients[p] = gradient.ToArray<double>();
                parameters[p].ZeroGradient();
            }
            return weights;
        }
    }

    private static double Evaluate(Func<Tensor> computation, double[] weights)
    {
        using var scope = new TensorScope("gradient check");
        double[] y = computation().ToArray<double>();
        double sum = 0;
        for (int i = 0; i < y.Length; i++) sum += weights[i] * y[i];
        return sum;
    }

    private static void Compare(string what, double gradient, double numerical, double tolerance)
    {
        // Written so that NaN fails.
        if (!(Math.Abs(gradient - numerical) <= tolerance * Math.Max(1, Math.Abs(numerical)))) throw Wrong(what, gradient, numerical);
    }

    private static GradientException Wrong(string what, double gradient, double numerical) =>
        new(string.Create(CultureInfo.InvariantCulture, $"GradientCheck: {what}: backward gives {gradient:R}, numerical differentiation {numerical:R}."));
}
