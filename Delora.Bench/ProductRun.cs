using System.Diagnostics;
using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;

namespace Delora.Bench;

/// <summary>
/// Matrix products on a CUDA card at each precision: 8192³, and the linear layers of a Llama of a billion parameters at 4096 tokens, forward (NT),
/// towards the input (NN) and towards a weight (TN). Before it is timed, each product is compared with float64 sums at places all over its output.
/// </summary>
internal static class ProductRun
{
    private const int WarmUp = 3, Rounds = 20, Lines = 6;

    // Tokens, inputs, outputs.
    private static readonly BenchShape[] s_shapes =
    [
        new("cube", 8192, 8192, 8192), new("attn", 4096, 2048, 2048), new("key-value", 4096, 2048, 512), new("ffn-up", 4096, 2048, 8192),
        new("ffn-down", 4096, 8192, 2048), new("low-rank", 4096, 2048, 16), new("vocabulary", 512, 2048, 128256),
    ];

    internal static int Run(string only)
    {
        DeviceInfo? card = Devices.All.FirstOrDefault(info => info.Kind == DeviceKind.Cuda && info.IsUsable);
        if (card is null)
        {
            Console.Error.WriteLine("There is no CUDA card: these products run on nothing else.");
            return 2;
        }
        var gpu = (GpuDevice)Devices.Get(card.Selector);
        Console.WriteLine($"{gpu.Name}; the best of {Rounds} calls; operands float32 × 16 bits are what training multiplies");
        Console.WriteLine($"{"shape",-30}{"layout",-8}{"precision",-10}{"operands",-20}{"plan",-20}{"ms",10}{"TFLOP/s",10}");
        foreach (BenchShape shape in s_shapes.Where(shape => shape.Name.StartsWith(only, StringComparison.Ordinal)))
            foreach (MatMulPrecision precision in Enum.GetValues<MatMulPrecision>())
                foreach (MatMulLayout layout in Enum.GetValues<MatMulLayout>())
                {
                    Time(gpu, shape, layout, precision, DType.Float32, DType.Float32);
                    DType half = precision == MatMulPrecision.Float16 ? DType.Float16 : DType.BFloat16;
                    if (layout != MatMulLayout.TN) Time(gpu, shape, layout, precision, DType.Float32, half);
                    if (precision is MatMulPrecision.BFloat16 or MatMulPrecision.Float16) Time(gpu, shape, layout, precision, half, half);
                }
        return 0;
    }

    private static void Time(GpuDevice gpu, BenchShape shape, MatMulLayout layout, MatMulPrecision precision, DType left, DType right)
    {
        (int tokens, int inputs, int outputs) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        MatMulSize size = layout switch
        {
            MatMulLayout.NT => new(1, tokens, outputs, inputs),
            MatMulLayout.NN => new(1, tokens, inputs, outputs),
            _ => new(1, outputs, inputs, tokens),
        };
        using Tensor a = Random(gpu, layout == MatMulLayout.TN ? [size.K, size.M] : [size.M, size.K], left, 1);
        using Tensor b = Random(gpu, layout == MatMulLayout.NT ? [size.N, size.K] : [size.K, size.N], right, 2);
        using Tensor c = Tensor.Empty([size.M, size.N], DType.Float32, gpu);
        MmaType? type = GpuMatrixProduct.TypeOf(precision);
        var product = new CudaProduct(type, layout, size, a, b, c);
        Action run = () => product.Run(gpu);
        run();
        Compare(product);
        for (int i = 0; i < WarmUp; i++) run();
        gpu.Synchronize();
        double best = double.PositiveInfinity;
        for (int i = 0; i < Rounds; i++)
        {
            long start = Stopwatch.GetTimestamp();
            run();
            gpu.Synchronize();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        double flops = 2.0 * size.M * size.N * size.K;
        ProductPlan plan = product.Plan(gpu);
        string operands = $"{left.Name} × {right.Name}", cut = $"{plan.Tile.Rows} × {plan.Tile.Columns}, {plan.Splits}";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{shape,-30}{layout,-8}{precision.Name,-10}{operands,-20}{cut,-20}{best,10:F3}{flops / best / 1e9,10:F1}"));
    }

    /// <summary>Places of the output against sums in float64 of the operands as they are.</summary>
    private static void Compare(CudaProduct product)
    {
        (_, int m, int n, int k) = product.Size;
        // Each factor may be off by half a unit of its last place, and each addition by one of float32's.
        double unit = product.Type switch { null => 0, MmaType.BFloat16 => Math.ScaleB(1, -8), _ => Math.ScaleB(1, -11) };
        var random = new Generator(3);
        (int Number, float[] Values)[] rows = [.. Chosen(m).Select(i => (i, Line(product.A, i, k, product.Layout != MatMulLayout.TN)))];
        (int Number, float[] Values)[] columns = [.. Chosen(n).Select(j => (j, Line(product.B, j, k, product.Layout == MatMulLayout.NT)))];
        foreach (((int i, float[] left), (int j, float[] right)) in rows.SelectMany(row => columns.Select(column => (row, column))))
        {
            double sum = left.Zip(right, (x, y) => (double)x * y).Sum(), size = left.Zip(right, (x, y) => Math.Abs((double)x * y)).Sum();
            using Tensor element = product.C.View([1], (long)i * n + j);
            double result = element.ToArray<float>()[0], allowed = size * (2.1 * unit + k * Math.ScaleB(1, -23));
            // Written so that NaN fails.
            if (!(Math.Abs(result - sum) <= allowed))
                throw new InvalidOperationException(
                    $"{product.Layout} {product.Size}: element [{i}, {j}] is {result}, not {sum} ± {allowed}: nothing is timed.");
        }

        // The first, the last, and others.
        IEnumerable<int> Chosen(int count) => [0, count - 1, .. Enumerable.Range(0, Lines - 2).Select(_ => random.NextInt(count))];
    }

    /// <summary>A line of an operand: a row, or a column whose numbers are fetched row by row.</summary>
    private static float[] Line(Tensor operand, int line, int depth, bool byDepth)
    {
        using Tensor numbers = Tensor.Empty([depth], operand.DType, operand.Device);
        int lines = (int)(operand.ElementCount / depth);
        if (byDepth)
        {
            using Tensor row = operand.View([depth], (long)line * depth);
            numbers.CopyFrom(row);
        }
        else
        {
            for (int p = 0; p < depth; p++)
            {
                using Tensor from = operand.View([1], (long)p * lines + line), to = numbers.View([1], p);
                to.CopyFrom(from);
            }
        }
        using Tensor wide = Tensor.Empty([depth], DType.Float32, operand.Device);
        CastKernel.Forward(numbers, wide);
        return wide.ToArray<float>();
    }

    private static Tensor Random(GpuDevice gpu, Shape shape, DType type, ulong seed)
    {
        var values = new float[shape.ElementCount];
        new Generator(seed).FillUniform(values, -1, 1);
        Tensor tensor = Tensor.From(values, shape, gpu);
        if (type == DType.Float32) return tensor;
        using (tensor)
        {
            Tensor rounded = Tensor.Empty(shape, type, gpu);
            CastKernel.Forward(tensor, rounded);
            return rounded;
        }
    }
}
