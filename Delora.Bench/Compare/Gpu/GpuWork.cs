using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// Delora's side of a case. Making it checks it first: the same code at a small, odd size against the float64 reference. What is timed gives the device its
/// work and waits for nothing. As long as it lives the device multiplies as the case says.
/// </summary>
internal abstract class GpuWork(Device device) : IDisposable
{
    private PrecisionScope? _precision;

    /// <summary>What one run does.</summary>
    internal abstract Work Work { get; }

    /// <summary>Tokens of a run; 0 where its work says more.</summary>
    internal virtual long Tokens => 0;

    /// <summary>What is not as the case says: the device may lack its precision. Empty where everything is.</summary>
    internal string Remark { get; private set; } = "";

    protected Device Device { get; } = device;

    /// <exception cref="InvalidOperationException">A result is wrong.</exception>
    internal static GpuWork Create(GpuCase @case, Device device)
    {
        var precision = new PrecisionScope(device, @case.Precision);
        GpuWork? work = null;
        try
        {
            work = @case.Kind switch
            {
                GpuPlan.Copy => new GpuCopy(@case, device),
                GpuPlan.Op => new GpuOp(@case, device),
                GpuPlan.Product => new GpuProduct(@case, device),
                GpuPlan.Layer or GpuPlan.Quantized => new GpuLayer(@case, device),
                GpuPlan.Step or GpuPlan.Eager => new GpuStep(@case, device),
                _ => throw new ArgumentException($"no case of kind '{@case.Kind}'"),
            };
            work._precision = precision;
            if (precision.Current != @case.Precision) work.Remark = $", in {precision.Current.Name}";
            work.Prepare();
            return work;
        }
        catch
        {
            work?.Dispose();
            precision.Dispose();
            throw;
        }
    }

    /// <summary>The median milliseconds of a run, in about that many seconds of measuring.</summary>
    internal virtual double Measure(double seconds) => GpuTimer.Median(Run, Device, seconds);

    public void Dispose()
    {
        Free();
        _precision?.Dispose();
    }

    /// <summary>Makes what is timed, and checks it.</summary>
    /// <exception cref="InvalidOperationException">A result is wrong.</exception>
    protected abstract void Prepare();

    protected abstract void Run();

    /// <summary>Frees what there is.</summary>
    protected abstract void Free();

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
internal sealed class GpuCopy(GpuCase @case, Device device) : GpuWork(device)
{
    private Tensor? _from, _to;

    internal override Work Work => Work.Floats(2.0 * @case.Sizes[0]);

    protected override void Prepare()
    {
        int count = @case.Sizes[0];
        float[] values = Numbers.Uniform("copy", count, 1);
        _from = Tensor.From(values, [count], Device, "from");
        _to = Tensor.Empty([count], DType.Float32, Device, "to");
        Run();
        if (!_to.ToArray<float>().AsSpan().SequenceEqual(values)) throw new InvalidOperationException("The copy differs from its source; it is not timed.");
    }

    protected override void Run() => _to!.CopyFrom(_from!);

    protected override void Free()
    {
        _from?.Dispose();
        _to?.Dispose();
    }
}

/// <summary>One method of an op's benchmarks, <c>RmsNorm.Forward</c>, which check themselves.</summary>
internal sealed class GpuOp : GpuWork
{
    private readonly OpBenchmarks _op;
    private readonly Action _run;

    internal GpuOp(GpuCase @case, Device device) : base(device)
    {
        string[] names = @case.Pass.Split('.');
        Type type = typeof(OpBenchmarks).Assembly.GetType($"Delora.Bench.Ops.{names[0]}Benchmarks", throwOnError: true)!;
        _op = (OpBenchmarks)Activator.CreateInstance(type)!;
        _op.Shape = new BenchShape("gpu", @case.Sizes);
        _run = type.GetMethod(names[1])!.CreateDelegate<Action>(_op);
        Work = _op.WorkOf(names[1], _op.Shape);
    }

    internal override Work Work { get; }

    protected override void Prepare()
    {
        _op.Begin(Device);
        _op.Queued = true;
    }

    protected override void Run() => _run();

    protected override void Free() => _op.Free();
}

/// <summary>
/// A linear layer over a frozen weight, forward and backward with all gradients, with DeLoRA or without: [tokens, width, rank]. The weight is bfloat16, or as the
/// pass says.
/// </summary>
internal sealed class GpuLayer : GpuWork
{
    private readonly int _tokens, _width, _rank;
    private readonly FrozenStorage _storage;
    private LayerRun.Side? _side;

    internal GpuLayer(GpuCase @case, Device device) : base(device)
    {
        string[] words = @case.Pass.Split(' ');
        (_tokens, _width, _rank) = (@case.Sizes[0], @case.Sizes[1], words[0] == "DeLoRA" ? @case.Sizes[2] : 0);
        _storage = words.Length == 1 ? FrozenStorage.BFloat16 : Enum.GetValues<FrozenStorage>().Single(storage => storage.Name == words[1]);
    }

    /// <summary>Two products of the frozen weight; h, v, their way into y and dx, dA and dB. Bytes: x, y, dy, dx and W twice.</summary>
    internal override Work Work => new(
        (4.0 * _width + 12.0 * _rank) * _tokens * _width, 4.0 * sizeof(float) * _tokens * _width + 2 * BytesOfNumber * _width * _width);

    /// <summary>With the scales of blocks; those of rows are not counted.</summary>
    private double BytesOfNumber => _storage switch
    {
        FrozenStorage.Int8 => 1,
        FrozenStorage.Nf4 => 4.5 / 8,
        _ => 2,
    };

    protected override void Prepare()
    {
        LayerRun.Validate(Device, Math.Min(_rank, 8), _storage, tolerance: 2e-2);
        _side = new LayerRun.Side(Device, _tokens, _width, _width, _rank, _storage);
    }

    protected override void Run() => _side!.Step();

    protected override void Free() => _side?.Dispose();
}
