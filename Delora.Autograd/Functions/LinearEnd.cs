using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

/// <summary>What linear layers share: their leading dimensions, and what they end with, y = f(z) + residual.</summary>
public static partial class Functions
{
    /// <summary>
    /// Computes a linear layer and records it. z is kept only where the way back of f wants it. An activation and a residual together are two functions: the
    /// derivative of f would not be one of y.
    /// </summary>
    /// <param name="x">[.., in]</param>
    /// <param name="shape">y's.</param>
    /// <param name="activation">f.</param>
    /// <param name="residual">y's shape; null for none.</param>
    /// <param name="inputs">What the layer computes z from and may get a gradient.</param>
    /// <param name="forward">The kernel: y, as the layer's shape has it flattened into rows, and what it ends with.</param>
    /// <param name="function">The way back.</param>
    /// <param name="name">The layer's name.</param>
    private static Tensor EndLinear(
        Tensor x, Shape shape, ActivationKind activation, Tensor? residual, ReadOnlySpan<Tensor?> inputs, Action<Tensor, Epilogue> forward,
        Func<LinearEnd, Function> function, string name)
    {
        if (activation != ActivationKind.None && residual is not null)
            return AddResidual(EndLinear(x, shape, activation, null, inputs, forward, function, name), residual);
        Tape? own = Tape.For(inputs), tape = Tape.For(residual) ?? own;
        bool keeps = tape is not null && activation != ActivationKind.None && !activation.IsFromResult();
        using var y = new Output(shape, x, name);
        using var z = new Output(keeps ? shape : [0], x, $"{name}.z");
        if (residual is not null) Check.SameShape(name, y, residual);
        using (Tensor rows = AsRows(y))
        using (Tensor? kept = keeps ? AsRows(z) : null, around = residual is null ? null : AsRows(residual))
            forward(rows, new Epilogue { Activation = activation, Preactivation = kept, Residual = around });
        tape?.Record(function(new(y, activation, keeps ? z.Keep() : null, residual)), y);
        return y.Keep();
    }

    /// <summary>y + residual, for both an activation and a residual: of y nothing is left where the sum is refused, or no tape keeps y.</summary>
    private static Tensor AddResidual(Tensor y, Tensor residual)
    {
        try
        {
            Tensor sum = y.Add(residual);
            // Where nothing recorded it, nobody comes back for it.
            if (y.GradientState is null) y.Dispose();
            return sum;
        }
        catch
        {
            y.Dispose();
            throw;
        }
    }

    /// <summary>The shape of x with another last dimension.</summary>
    private static Shape OutputShape(Tensor x, int columns)
    {
        if (x.Shape.Rank == 0) throw new ShapeException($"A linear layer wants at least one dimension: '{x.Name}' is a scalar.");
        return x.Shape.WithColumns(columns);
    }

    /// <summary>A view of x with its leading dimensions flattened into one: [N, columns].</summary>
    private static Tensor AsRows(Tensor x) => x.View([checked((int)x.Shape.Rows), x.Shape.Columns]);

    /// <summary>How a linear layer ended.</summary>
    /// <param name="Y">The result.</param>
    /// <param name="Activation">f.</param>
    /// <param name="Z">What f was of, where its way back wants it.</param>
    /// <param name="Residual">What was added; null for nothing.</param>
    private sealed record LinearEnd(Tensor Y, ActivationKind Activation, Tensor? Z, Tensor? Residual);

    /// <summary>The way back of a linear layer: through its end, to the bias and the residual; the rest is the layer's.</summary>
    private abstract class LinearEndFunction : Function
    {
        private readonly Tensor? _bias;
        private readonly LinearEnd _end;

        protected LinearEndFunction(Tensor? bias, LinearEnd end)
        {
            (_bias, _end) = (bias, end);
            if (end.Z is { } z) Save(z);
        }

        protected internal sealed override void Backward(GradientFlow flow)
        {
            bool isActivated = _end.Activation != ActivationKind.None;
            // dz takes the place of dy, which nobody else needs.
            Tensor gradient = isActivated ? flow.Take(_end.Y) : flow.Of(_end.Y);
            try
            {
                if (isActivated) _end.Activation.Backward(_end.Z ?? _end.Y, gradient, gradient);
                using Tensor dz = AsRows(gradient);
                AddBiasGradient(flow, _bias, dz);
                Backward(flow, dz);
            }
            finally
            {
                if (isActivated) gradient.Dispose();
            }
            if (flow.Needs(_end.Residual)) flow.Add(_end.Residual, flow.Take(_end.Y));
        }

        /// <summary>Computes the gradients of the layer's operands.</summary>
        /// <param name="flow">The gradients.</param>
        /// <param name="dz">The gradient of x Wᵀ + b, [N, out].</param>
        protected abstract void Backward(GradientFlow flow, Tensor dz);
    }
}
