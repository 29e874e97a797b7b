using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Autograd;

public sealed class TapeTests
{
    private static readonly Device s_device = Devices.Reference;

    private static Parameter Make(params double[] values) => new("p", Tensor.From(values, [values.Length], s_device));

    [Fact]
    public void GradientsAddUpOverPassesUntilTheyAreZeroed()
    {
        using Parameter p = Make(1, -2, 3);
        for (int pass = 0; pass < 2; pass++)
        {
            using var tape = new Tape();
            Tensor y = p.Value.Relu();
            using Tensor c = Tensor.From([10.0, 20, 30], y.Shape, s_device);
            tape.Backward(y, c);
        }
        Assert.Equal([20, 0, 60], p.Gradient!.ToArray<double>());
        p.ZeroGradient();
        Assert.Null(p.Gradient);
    }

    [Fact]
    public void BackwardFreesWhatItLeavesBehindAndKeepsTheRoot()
    {
        using Parameter p = Make(1, 2);
        using var tape = new Tape();
        Tensor hidden = p.Value.Relu();
        Tensor kept = tape.Keep(hidden.Relu());
        Tensor root = kept.Relu();
        tape.Backward(root, Tensor.From([1.0, 1], [2], s_device));
        Assert.True(hidden.IsDisposed);
        Assert.False(kept.IsDisposed);
        Assert.Equal([1, 2], root.ToArray<double>());
        Assert.Throws<ObjectDisposedException>(() => hidden.ToArray<double>());
        kept.Dispose();
    }

    [Fact]
    public void ARetainedTapeCanBePlayedTwice()
    {
        using Parameter p = Make(5);
        using var tape = new Tape();
        Tensor y = p.Value.Relu();
        tape.Backward(y, retain: true);
        tape.Backward(y);
        Assert.Equal([2], p.Gradient!.ToArray<double>());
        Assert.Throws<GradientException>(() => tape.Backward(y));
        Assert.Contains("spent", Assert.Throws<GradientException>(() => p.Value.Relu()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NothingIsRecordedWithoutATapeUnderAPauseOrForFrozenParameters()
    {
        using Parameter p = Make(1);
        using var scope = new TensorScope();
        Assert.Null(p.Value.Relu().GradientState);
        using var tape = new Tape();
        using (Tape.Pause()) Assert.Null(p.Value.Relu().GradientState);
        p.RequiresGradient = false;
        Tensor y = p.Value.Relu();
        Assert.Equal(0, tape.Count);
        Assert.Throws<GradientException>(() => tape.Backward(y));
    }

    [Fact]
    public void ATensorOfAnotherTapeIsRefused()
    {
        using Parameter p = Make(1);
        using var outer = new Tape("outer");
        Tensor y = p.Value.Relu();
        using var inner = new Tape("inner");
        Assert.Throws<GradientException>(() => y.Relu());
    }

    [Fact]
    public async Task TheTapeFollowsAnAwait()
    {
        using Parameter p = Make(1);
        using var tape = new Tape();
        Tensor y = p.Value.Relu();
        await Task.Yield();
        y = await Task.Run(() => y.Relu(), TestContext.Current.CancellationToken);
        tape.Backward(y);
        Assert.Equal([1], p.Gradient!.ToArray<double>());
    }

    [Fact]
    public async Task ATaskThatOutlivesItsTapeGetsAnErrorInsteadOfResultsWithoutGradients()
    {
        using Parameter p = Make(1);
        var closed = new TaskCompletionSource();
        Task task;
        using (new Tape())
        {
            task = Task.Run(async () =>
            {
                await closed.Task;
                p.Value.Relu();
            }, TestContext.Current.CancellationToken);
        }
        closed.SetResult();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => task);
    }

    [Fact]
    public void ATapeThatCannotCloseYetStaysOpen()
    {
        using Parameter p = Make(1);
        var tape = new Tape();
        Tensor y = p.Value.Relu();
        using (new TensorScope("inner"))
            Assert.Throws<InvalidOperationException>(tape.Dispose);
        tape.Backward(y);
        tape.Dispose();
        Assert.True(y.IsDisposed);
        Assert.Equal([1], p.Gradient!.ToArray<double>());
        Assert.Null(Tape.Current);
    }

    [Fact]
    public void ABackwardPassThatFailsLeavesNoMemoryAndNoUnwrittenGradient()
    {
        using Parameter p = Make(1), q = Make(2);
        HashSet<long> before = NoLeaksAttribute.Ids(s_device);
        using (var tape = new Tape())
        {
            Tensor y = Tensor.Empty(p.Shape, p.Value.DType, s_device);
            ReluKernel.Forward(p, y);
            tape.Record(new FailingFunction(p), y);
            Assert.Throws<DeloraException>(() => tape.Backward(y.Add(q)));
        }
        Assert.Null(p.Gradient);
        Assert.Equal([1], q.Gradient!.ToArray<double>());
        q.ZeroGradient();
        Assert.Empty(NoLeaksAttribute.Forgotten(s_device, before));
    }

    [Fact]
    public void TheGradientToStartFromMustFit()
    {
        using Parameter p = Make(1, 2);
        using var tape = new Tape();
        Tensor y = p.Value.Relu();
        Assert.Throws<GradientException>(() => tape.Backward(y));
        Assert.Throws<ShapeException>(() => tape.Backward(y, Tensor.From([1.0], [1], s_device)));
    }

    [Fact]
    public void AnArenaHoldsValuesAndGradientsOfItsParameters()
    {
        using Parameter a = Make(1, -2), b = Make(3);
        using (var arena = new ParameterArena([a, b]))
        {
            using (var tape = new Tape())
            {
                Tensor y = a.Value.Relu();
                tape.Backward(y, Tensor.From([1.0, 1], [2], s_device));
            }
            Assert.Equal([1, 0], a.Gradient!.ToArray<double>());
            Assert.Equal(1, arena.Gradients.ToArray<double>()[arena.OffsetOf(a)]);
            Assert.Equal(3, arena.Values.ToArray<double>()[arena.OffsetOf(b)]);
            arena.ZeroGradients();
            Assert.Equal([0, 0], a.Gradient!.ToArray<double>());
            Assert.Throws<ArgumentException>(() => new ParameterArena([a]));
        }
        Assert.Equal([1, -2], a.Value.ToArray<double>());
        Assert.Null(a.Gradient);
    }

    [Fact]
    public void TheCheckerAcceptsARightBackwardAndRejectsAWrongOne()
    {
        using Parameter p = Make(1.5, -0.5, 2);
        GradientCheck.Numerical(() => p.Value.Relu(), [p]);
        GradientCheck.Directional(() => p.Value.Relu(), [p], step: 1e-4, tolerance: 1e-6);
        var numerical = Assert.Throws<GradientException>(() => GradientCheck.Numerical(() => WrongRelu(p), [p]));
        Assert.Contains("element 0 of parameter 'p' [3]", numerical.Message);
        Assert.Throws<GradientException>(() => GradientCheck.Directional(() => WrongRelu(p), [p], step: 1e-4, tolerance: 1e-3));
    }

    [Fact]
    public void ManyElementsHideNoWrongSignFromTheChecker()
    {
        using Parameter p = new("p", Tensor.Zeros([1 << 18], DType.Float64, s_device));
        GradientCheck.Directional(() => p.Value.Scale(2), [p]);
        Assert.Throws<GradientException>(() => GradientCheck.Directional(() => WrongNegative(p), [p]));
    }

    /// <summary>y = −x, with the gradient of y = x.</summary>
    private static Tensor WrongNegative(Tensor x)
    {
        Tensor y = Tensor.Empty(x.Shape, x.DType, x.Device);
        ScaleKernel.Forward(x, -1, y);
        Tape.For(x)?.Record(new ForgetfulFunction(x, y), y);
        return y;
    }

    private static Tensor WrongRelu(Tensor x)
    {
        Tensor y = Tensor.Empty(x.Shape, x.DType, x.Device);
        ReluKernel.Forward(x, y);
        Tape.For(x)?.Record(new WrongFunction(x, y), y);
        return y;
    }

    /// <summary>Asks for the memory of a gradient and fails before it is written.</summary>
    private sealed class FailingFunction(Tensor x) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Assert.False(flow.Target(x, out bool accumulate).IsDisposed || accumulate);
            throw new DeloraException("fails");
        }
    }

    private sealed class ForgetfulFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow) => flow.Add(x, flow.Take(y));
    }

    private sealed class WrongFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            AddKernel.Forward(dy, dy, dy);
            flow.Add(x, dy);
        }
    }
}
