using System.Reflection;
using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench;

/// <summary>
/// The frame of every op's benchmarks. A subclass <c>XBenchmarks</c> names its shapes, makes its tensors in <see cref="Prepare"/> with
/// <see cref="Input"/> and <see cref="Output"/>, declares its <see cref="WorkOf"/>, and has one method with <c>[Benchmark]</c> for each
/// pass, which ends with <see cref="Finish"/>.
/// <para>
/// Before anything is timed, every such method runs once on the device and once on the reference device at <see cref="ValidationShape"/>,
/// with outputs
/// poisoned by NaN, and every output is compared: wrong results are not timed.
/// </para>
/// </summary>
public abstract class OpBenchmarks
{
    private readonly List<IDisposable> _owned = [];
    private readonly List<Tensor> _outputs = [];
    private int _seed;
    private bool _validating, _rounding;

    /// <summary>Selector of the device: <c>cpu</c>, <c>cuda:0</c>, …</summary>
    [ParamsSource(nameof(DeviceNames), Priority = 1)]
    public string On { get; set; } = "cpu";

    /// <summary>The sizes.</summary>
    [ParamsSource(nameof(Shapes), Priority = 2)]
    public BenchShape Shape { get; set; } = new("none");

    /// <summary>The devices that are worth timing: not the simulator, not the reference.</summary>
    public static IEnumerable<string> DeviceNames =>
        Devices.All
            .Where(info => info.IsUsable && info.Remark is null && info.Kind is DeviceKind.Cpu or DeviceKind.Cuda or DeviceKind.OpenCL)
            .Select(info => info.Selector);

    /// <summary>Named shapes from transformers; the quick run takes the first.</summary>
    public abstract IEnumerable<BenchShape> Shapes { get; }

    /// <summary>Small and odd.</summary>
    protected abstract BenchShape ValidationShape { get; }

    /// <summary>Largest allowed difference from the reference, relative to max(1, |reference|).</summary>
    protected virtual double Tolerance => 1e-5;

    /// <summary>
    /// Where matrix products in bfloat16 take another way: the size and the tolerance by which that way is compared, from inputs that are numbers of
    /// bfloat16, so that only what is rounded on the way differs. Null where there is no such way.
    /// </summary>
    protected virtual (BenchShape Shape, double Tolerance)? Rounded => null;

    /// <summary>The device that runs.</summary>
    protected Device Device { get; private set; } = Devices.Reference;

    /// <summary>Whether calls are queued one behind the other, and whoever times them waits for the last.</summary>
    internal bool Queued { get; set; }

    /// <summary>The end of every benchmark method: waits for the device, unless calls are <see cref="Queued"/>.</summary>
    protected void Finish()
    {
        if (!Queued) Device.Synchronize();
    }

    /// <summary>Makes the tensors for a shape on <see cref="Device"/>.</summary>
    protected abstract void Prepare(BenchShape shape);

    /// <summary>The declared work of one call of the benchmark method <paramref name="benchmark"/> at <paramref name="shape"/>.</summary>
    public abstract Work WorkOf(string benchmark, BenchShape shape);

    /// <summary>Validates, then prepares what is timed.</summary>
    [GlobalSetup]
    public void Setup() => Begin(Devices.Get(On));

    /// <summary><see cref="Setup"/> on a device that has no name.</summary>
    internal void Begin(Device device)
    {
        Validate(device);
        Device = device;
        Prepare(Shape);
        Device.Synchronize();
    }

    /// <summary>Frees the tensors.</summary>
    [GlobalCleanup]
    public void Free()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
        _owned.Clear();
        _outputs.Clear();
        _seed = 0;
    }

    /// <summary>
    /// Runs every benchmark method at <see cref="ValidationShape"/> and compares all outputs with the reference device's; with products in float32, and
    /// where the device has such and they are <see cref="Rounded"/>, in bfloat16.
    /// </summary>
    /// <exception cref="InvalidOperationException">A result is wrong.</exception>
    public void Validate(Device device)
    {
        using (new PrecisionScope(device, MatMulPrecision.Float32)) Validate(device, ValidationShape, Tolerance);
        if (Rounded is not { } rounded) return;
        using var precision = new PrecisionScope(device, MatMulPrecision.BFloat16);
        if (precision.Current != MatMulPrecision.BFloat16) return;
        _rounding = true;
        try
        {
            Validate(device, rounded.Shape, rounded.Tolerance);
        }
        finally
        {
            _rounding = false;
        }
    }

    private void Validate(Device device, BenchShape shape, double tolerance)
    {
        foreach (MethodInfo method in GetType().GetMethods().Where(method => method.IsDefined(typeof(BenchmarkAttribute), inherit: true)))
        {
            double[][] expected = Results(Devices.Reference, method, shape), actual = Results(device, method, shape);
            if (!expected.SelectMany(values => values).Any(double.IsFinite))
                throw new InvalidOperationException($"{GetType().Name}.{method.Name} writes to no Output: there is nothing to validate.");
            for (int output = 0; output < expected.Length; output++)
                for (int i = 0; i < expected[output].Length; i++)
                {
                    double wanted = expected[output][i], found = actual[output][i];
                    // An output that this method does not write stays poisoned on both sides.
                    if (double.IsNaN(wanted) && double.IsNaN(found)) continue;
                    if (!(Math.Abs(found - wanted) <= tolerance * Math.Max(1, Math.Abs(wanted))))
                        throw new InvalidOperationException(
                            $"{GetType().Name}.{method.Name} on {device.Name}{(_rounding ? " in bfloat16" : "")}: output {output}, element {i} is {found:R}, not {wanted:R}.");
                }
        }
    }

    /// <summary>A tensor of random numbers in [lo, hi), the same on every device.</summary>
    protected Tensor Input(Shape shape, float lo = -1, float hi = 1)
    {
        var values = new float[shape.ElementCount];
        new Generator((ulong)++_seed).FillUniform(values, lo, hi);
        if (_rounding) PrecisionScope.Round(values, MatMulPrecision.BFloat16);
        return Track(Tensor.From(values, shape, Device, "benchmark input"));
    }

    /// <summary>An int32 tensor of random numbers in [0, <paramref name="exclusiveMaximum"/>), the same on every device.</summary>
    protected Tensor Ids(Shape shape, int exclusiveMaximum)
    {
        var generator = new Generator((ulong)++_seed);
        var values = new int[shape.ElementCount];
        for (int i = 0; i < values.Length; i++) values[i] = generator.NextInt(exclusiveMaximum);
        return Track(Tensor.From(values, shape, Device, "benchmark ids"));
    }

    /// <summary>[count, 1] with j in row j: an embedding in it makes numbers of indices, which can be compared.</summary>
    protected Tensor NumbersTo(int count) =>
        Track(Tensor.From(Enumerable.Range(0, count).Select(j => (double)j).ToArray(), [count, 1], Device, "numbers"));

    /// <summary>A tensor that a benchmark writes; its contents are compared when validating.</summary>
    protected Tensor Output(Shape shape)
    {
        Tensor tensor = Track(Tensor.Empty(shape, Device.FloatType, Device, "benchmark output"));
        if (_validating)
        {
            var poison = new double[shape.ElementCount];
            Array.Fill(poison, double.NaN);
            tensor.CopyFrom<double>(poison);
        }
        _outputs.Add(tensor);
        return tensor;
    }

    /// <summary>Any other tensor, or a frozen weight: disposed with the rest.</summary>
    protected T Track<T>(T owned) where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private double[][] Results(Device device, MethodInfo method, BenchShape shape)
    {
        Device = device;
        _validating = true;
        try
        {
            Prepare(shape);
            method.Invoke(this, BindingFlags.DoNotWrapExceptions, null, null, null);
            return [.. _outputs.Select(output => output.ToArray<double>())];
        }
        finally
        {
            _validating = false;
            Free();
        }
    }
}
