using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// Delora's side of a case. Making it checks it first: the same code at a small, odd size against the float64 reference. <see cref="Run"/> gives the
/// device its work and waits for nothing.
/// </summary>
internal abstract class GpuWork : IDisposable
{
    /// <summary>What one run does.</summary>
    internal abstract Work Work { get; }

    /// <summary>Tokens of a run; 0 where its work says more.</summary>
    internal virtual long Tokens => 0;

    internal abstract void Run();

    public abstract void Dispose();

    /// <exception cref="InvalidOperationException">A result is wrong.</exception>
    internal static GpuWork Create(GpuCase @case, DeviceInfo info)
    {
        Device device = Devices.Get(info.Selector);
        return @case.Kind switch
        {
            GpuPlan.Copy => new GpuCopy(@case, device),
            GpuPlan.Op => new GpuOp(@case, info.Selector),
            GpuPlan.Product => new GpuProduct(@case, device),
            GpuPlan.Layer => new GpuLayer(@case, device),
            GpuPlan.Step => new GpuStep(@case, device),
            _ => throw new ArgumentException($"no case of kind '{@case.Kind}'"),
        };
    }

    /// <summary>‖got − want‖ / ‖want‖ within a tolerance; NaN never is.</summary>
    /// <exception cref="InvalidOperationException">It is not.</exception>
    protected static void RequireClose(string what, IEnumerable<double> got, IEnumerable<double> want, double tolerance)
    {
        double difference = 0, norm = 0;
        foreach ((double g, double w) in got.Zip(want)) (difference, norm) = (difference + (g - w) * (g - w), norm + w * w);
        double error = Math.Sqrt(difference / norm);
        if (!(error <= tolerance)) throw new InvalidOperationException($"{what} is wrong: its relative error is {error:G3}; it is not timed.");
    }
}

/// <summary>A copy on the device: the speed of its memory.</summary>
internal sealed class GpuCopy : GpuWork
{
    private readonly Tensor _from, _to;

    internal GpuCopy(GpuCase @case, Device device)
    {
        int count = @case.Sizes[0];
        float[] values = Numbers.Uniform("copy", count, 1);
        _from = Tensor.From(values, [count], device, "from");
        _to = Tensor.Empty([count], DType.Float32, device, "to");
        Run();
        if (!_to.ToArray<float>().AsSpan().SequenceEqual(values)) throw new InvalidOperationException("The copy differs from its source; it is not timed.");
    }

    internal override Work Work => Work.Floats(2.0 * _from.ElementCount);

    internal override void Run() => _to.CopyFrom(_from);

    public override void Dispose()
    {
        _from.Dispose();
        _to.Dispose();
    }
}

/// <summary>One method of an op's benchmarks, <c>RmsNorm.Forward</c>, which check themselves.</summary>
internal sealed class GpuOp : GpuWork
{
    private readonly OpBenchmarks _op;
    private readonly Action _run;

    internal GpuOp(GpuCase @case, string device)
    {
        string[] names = @case.Pass.Split('.');
        Type type = typeof(OpBenchmarks).Assembly.GetType($"Delora.Bench.Ops.{names[0]}Benchmarks", throwOnError: true)!;
        _op = (OpBenchmarks)Activator.CreateInstance(type)!;
        _op.On = device;
        _op.Shape = new BenchShape("gpu", @case.Sizes);
        _run = type.GetMethod(names[1])!.CreateDelegate<Action>(_op);
        Work = _op.WorkOf(names[1], _op.Shape);
        _op.Setup();
        _op.Queued = true;
    }

    internal override Work Work { get; }

    internal override void Run() => _run();

    public override void Dispose() => _op.Free();
}

/// <summary>y = x Wᵀ over a frozen weight in bfloat16: [tokens, in, out].</summary>
internal sealed class GpuProduct : GpuWork
{
    // x may be rounded to bfloat16 on the way.
    private const double Tolerance = 1e-2;
    private const int Spots = 64;

    private readonly Tensor _x, _y;
    private readonly FrozenWeight _weight;

    internal GpuProduct(GpuCase @case, Device device) : this(@case.Sizes, device)
    {
        int[] odd = [37, 51, 43];
        using (var own = new GpuProduct(odd, device))
        using (var reference = new GpuProduct(odd, Devices.Reference))
        {
            own.Run();
            reference.Run();
            RequireClose(@case.Name, own._y.ToArray<double>(), reference._y.ToArray<double>(), Tolerance);
        }
        Run();
        CheckSpots(@case);
    }

    private GpuProduct(int[] sizes, Device device)
    {
        (int tokens, int @in, int @out) = (sizes[0], sizes[1], sizes[2]);
        _x = Own.From(device, "x", 1, [tokens, @in]);
        using (Tensor weight = Own.From(device, "w", 1, [@out, @in])) _weight = FrozenWeight.Create(weight, FrozenStorage.BFloat16);
        _y = Tensor.Empty([tokens, @out], device.FloatType, device, "y");
    }

    internal override Work Work
    {
        get
        {
            (double tokens, double @in, double @out) = (_x.Shape[0], _weight.In, _weight.Out);
            return new(2 * tokens * @in * @out, sizeof(float) * tokens * (@in + @out) + 2 * @in * @out);
        }
    }

    internal override void Run() => FrozenLinearKernel.Forward(_x, _weight, null, _y);

    public override void Dispose()
    {
        _x.Dispose();
        _y.Dispose();
        _weight.Dispose();
    }

    /// <summary>Single elements of the product at its real size, in float64 on the host: large sizes may take another kernel than small ones.</summary>
    private void CheckSpots(GpuCase @case)
    {
        int @in = _weight.In, @out = _weight.Out;
        float[] x = _x.ToArray<float>(), y = _y.ToArray<float>(), w = Numbers.Uniform("w", (long)@in * @out, 1);
        double[] got = new double[Spots], want = new double[Spots];
        for (int i = 0; i < Spots; i++)
        {
            long row = (long)(Numbers.Hash((ulong)i) % (ulong)_x.Shape[0]), column = (long)(Numbers.Hash((ulong)(i + Spots)) % (ulong)@out);
            if (i == 0) (row, column) = (_x.Shape[0] - 1, @out - 1);
            got[i] = y[row * @out + column];
            for (int k = 0; k < @in; k++) want[i] += (double)x[row * @in + k] * w[column * @in + k];
        }
        RequireClose($"{@case.Name} {@case.Shape}", got, want, Tolerance);
    }
}

/// <summary>A linear layer over a frozen bfloat16 weight, forward and backward with all gradients, with DeLoRA or without: [tokens, width, rank].</summary>
internal sealed class GpuLayer : GpuWork
{
    private readonly LayerRun.Side _side;
    private readonly int _tokens, _width, _rank;

    internal GpuLayer(GpuCase @case, Device device)
    {
        (_tokens, _width, _rank) = (@case.Sizes[0], @case.Sizes[1], @case.Pass == "DeLoRA" ? @case.Sizes[2] : 0);
        LayerRun.Validate(device, Math.Min(_rank, 8), FrozenStorage.BFloat16, tolerance: 2e-2);
        _side = new LayerRun.Side(device, _tokens, _width, _width, _rank, FrozenStorage.BFloat16);
    }

    /// <summary>Two products of the frozen weight; h, v, their way into y and dx, dA and dB. Bytes: x, y, dy, dx and W twice.</summary>
    internal override Work Work => new(
        (4.0 * _width + 12.0 * _rank) * _tokens * _width, 4.0 * sizeof(float) * _tokens * _width + 4.0 * _width * _width);

    internal override void Run() => _side.Step();

    public override void Dispose() => _side.Dispose();
}

/// <summary>A training step of a language model.</summary>
internal sealed class GpuStep : GpuWork
{
    private readonly ModelShape _model;
    private readonly OwnStep _step;

    internal GpuStep(GpuCase @case, Device device)
    {
        StepRun.Validate(device);
        _model = GpuModels.Get(@case.Pass);
        _step = new OwnStep(_model, device, StorageOf(_model));
    }

    internal static FrozenWeightOptions StorageOf(ModelShape model) =>
        model.IsLlama ? new FrozenWeightOptions { Storage = FrozenStorage.BFloat16 } : FrozenWeightOptions.Default;

    internal override Work Work => default;

    internal override long Tokens => (long)_model.Batch * _model.Length;

    internal override void Run() => _step.Run();

    public override void Dispose() => _step.Dispose();
}
