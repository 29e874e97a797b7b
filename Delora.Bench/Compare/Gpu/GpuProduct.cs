using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// A product of a linear layer, [tokens, in, out]: y = x Wᵀ (NT), dx = dy W (NN), dW = dyᵀ x (TN). In 16 bits W is a frozen weight of that type, everything
/// else is float32. The numbers are such as the precision has, so that a correct result differs from float64's by the rounding of sums alone.
/// </summary>
internal sealed class GpuProduct : GpuWork
{
    private const double Tolerance = 1e-4;
    private const int Spots = 64;

    private readonly GpuCase _case;
    private readonly MatMulLayout _layout;
    private readonly int _m, _n, _k;
    private readonly FrozenStorage? _storage;
    private Tensor? _a, _b, _c;
    private FrozenWeight? _weight;

    internal GpuProduct(GpuCase @case, Device device) : base(device)
    {
        _case = @case;
        _layout = Enum.Parse<MatMulLayout>(@case.Pass);
        (int tokens, int @in, int @out) = (@case.Sizes[0], @case.Sizes[1], @case.Sizes[2]);
        (_m, _n, _k) = _layout switch
        {
            MatMulLayout.NT => (tokens, @out, @in),
            MatMulLayout.NN => (tokens, @in, @out),
            _ => (@out, @in, tokens),
        };
        _storage = _layout == MatMulLayout.TN ? null : @case.Precision switch
        {
            MatMulPrecision.BFloat16 => FrozenStorage.BFloat16,
            MatMulPrecision.Float16 => FrozenStorage.Float16,
            _ => null,
        };
    }

    internal override Work Work
    {
        get
        {
            (double m, double n, double k) = (_m, _n, _k);
            return new(2 * m * n * k, sizeof(float) * m * (n + k) + (_storage is null ? sizeof(float) : sizeof(short)) * n * k);
        }
    }

    protected override void Prepare()
    {
        using (var odd = new GpuProduct(_case with { Sizes = [37, 51, 43] }, Device)) odd.Make();
        Make();
    }

    protected override void Run()
    {
        if (_weight is null) MatMulKernel.Forward(_a!, _b!, _c!, _layout);
        else if (_layout == MatMulLayout.NT) FrozenLinearKernel.Forward(_a!, _weight, null, _c!);
        else FrozenLinearKernel.Backward(_a!, _weight, _c!);
    }

    protected override void Free()
    {
        _a?.Dispose();
        _b?.Dispose();
        _c?.Dispose();
        _weight?.Dispose();
    }

    private void Make()
    {
        float[] left = Values("left"), right = Values("right");
        _a = Tensor.From(left, _layout == MatMulLayout.TN ? [_k, _m] : [_m, _k], Device, "left");
        _b = Tensor.From(right, _layout == MatMulLayout.NT ? [_n, _k] : [_k, _n], Device, "right");
        if (_storage is { } storage)
        {
            _weight = FrozenWeight.Create(_b, storage);
            _b.Dispose();
        }
        bool poisons = Device.Memory.PoisonNewAllocations;
        Device.Memory.PoisonNewAllocations = true;
        _c = Tensor.Empty([_m, _n], Device.FloatType, Device, "product");
        Device.Memory.PoisonNewAllocations = poisons;
        Run();
        Check(left, right);

        float[] Values(string name)
        {
            float[] values = Numbers.Uniform(name, (long)_k * (name == "left" ? _m : _n), 1);
            PrecisionScope.Round(values, _case.Precision);
            return values;
        }
    }

    /// <summary>Elements all over the product, the last among them, in float64 on the host: large sizes may take another kernel than small ones.</summary>
    private void Check(float[] left, float[] right)
    {
        double[] got = new double[Spots], want = new double[Spots];
        for (int spot = 0; spot < Spots; spot++)
        {
            long i = (long)(Numbers.Hash((ulong)spot) % (ulong)_m), j = (long)(Numbers.Hash((ulong)(spot + Spots)) % (ulong)_n);
            if (spot == 0) (i, j) = (_m - 1, _n - 1);
            using Tensor element = _c!.View([1], i * _n + j);
            got[spot] = element.ToArray<double>()[0];
            for (long k = 0; k < _k; k++)
                want[spot] += (double)left[_layout == MatMulLayout.TN ? k * _m + i : i * _k + k] * right[_layout == MatMulLayout.NT ? j * _k + k : k * _n + j];
        }
        RequireClose($"{_case.Name} [{_m}, {_n}, {_k}]", got, want, Tolerance);
    }
}
