using System.Globalization;
using System.Text.Json;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Golden;

/// <summary>One tensor of a case.</summary>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Values">Its elements, row-major, exactly as stored (floating point of any width, and integers below 2^53).</param>
public sealed record GoldenTensor(Shape Shape, double[] Values)
{
    /// <summary>The elements as float32.</summary>
    public float[] Floats => [.. Values.Select(value => (float)value)];

    /// <summary>The elements as integers (labels, ids).</summary>
    public int[] Integers => [.. Values.Select(value => checked((int)value))];

    /// <summary>A tensor with these elements in the device's floating-point type.</summary>
    public Tensor ToTensor(Device device, string name) => Tensor.From(Values, Shape, device, name);
}

/// <summary>One case: <c>case.json</c>, its tensors, and the comparison with the tolerances that it states.</summary>
public sealed class GoldenCase
{
    private readonly Dictionary<string, GoldenTensor> _tensors, _float64;

    /// <summary>Reads the whole case.</summary>
    public GoldenCase(string folder)
    {
        Name = Path.GetFileName(folder);
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
        Json = document.RootElement.Clone();
        _tensors = ReadAll(Path.Combine(folder, "tensors.safetensors"));
        string float64 = Path.Combine(folder, "outputs_float64.safetensors");
        _float64 = File.Exists(float64) ? ReadAll(float64) : [];
        Folder = folder;
    }

    /// <summary>Name of the case's folder.</summary>
    public string Name { get; }

    /// <summary>The case's folder.</summary>
    public string Folder { get; }

    /// <summary>The whole of <c>case.json</c>.</summary>
    public JsonElement Json { get; }

    /// <summary>Names of all tensors, inputs and outputs.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>Names of the tensors that results are compared with: those that have a tolerance.</summary>
    public IReadOnlyList<string> Compared => [.. Json.GetProperty("tolerances").EnumerateObject().Select(property => property.Name)];

    /// <summary>The absolute part of the tolerance that the case states for a tensor.</summary>
    public double AllowanceOf(string name) => Json.GetProperty("tolerances").GetProperty(name).GetProperty("atol").GetDouble();

    /// <summary>A tensor of the float32 run.</summary>
    public GoldenTensor this[string name] => Get(_tensors, name);

    /// <summary>Whether the case has a tensor of this name (a layer without bias has no <c>b</c>).</summary>
    public bool Has(string name) => _tensors.ContainsKey(name);

    /// <summary>Whether the case has a folder of this name (not every model was run with two adapters).</summary>
    public bool HasFolder(string name) => Directory.Exists(Path.Combine(Folder, name));

    /// <summary>An output of the float64 run.</summary>
    public GoldenTensor Float64(string name) => Get(_float64, name);

    /// <summary>Compares a result of any device with the float32 run, by the tolerance that the case states for this tensor.</summary>
    public void AssertClose(string name, Tensor got)
    {
        Assert.True(got.Shape == this[name].Shape, $"{Name}: {name}: got the shape {got.Shape}, want {this[name].Shape}");
        AssertClose(name, got.ToArray<double>());
    }

    /// <inheritdoc cref="AssertClose(string, Tensor)"/>
    public void AssertClose(string name, ReadOnlySpan<double> got) => AssertClose(name, got, this[name]);

    /// <summary>
    /// Compares the rows of a tensor that count. The others are an accident of the implementation, for instance where a padding token
    /// attends to nothing.
    /// </summary>
    /// <param name="name">Name of the output.</param>
    /// <param name="got">[.., columns]</param>
    /// <param name="counts">A row counts where its number here is not 0.</param>
    public void AssertRowsClose(string name, Tensor got, int[] counts)
    {
        GoldenTensor want = this[name];
        Assert.True(got.Shape == want.Shape, $"{Name}: {name}: got the shape {got.Shape}, want {want.Shape}");
        int columns = want.Shape.Columns;
        double[] values = got.ToArray<double>();
        foreach (int row in Enumerable.Range(0, counts.Length).Where(row => counts[row] != 0))
        {
            var range = new Range(row * columns, (row + 1) * columns);
            AssertClose(name, values.AsSpan(range), new GoldenTensor([columns], want.Values[range]), $"row {row} of {name}");
        }
    }

    /// <summary>Compares numbers that <c>case.json</c> itself holds (losses), by the tolerance that it states for them.</summary>
    public void AssertClose(string name, ReadOnlySpan<double> got, double[] want) => AssertClose(name, got, new GoldenTensor([want.Length], want));

    private void AssertClose(string name, ReadOnlySpan<double> got, GoldenTensor want, string? place = null)
    {
        JsonElement tolerance = Json.GetProperty("tolerances").GetProperty(name);
        double atol = tolerance.GetProperty("atol").GetDouble(), rtol = tolerance.GetProperty("rtol").GetDouble();
        if (FirstDifference($"{Name}: {place ?? name}", got, want, atol, rtol) is { } difference) Assert.Fail(difference);
    }

    /// <summary>
    /// Compares a float64 result with the float64 run. The allowance is a ten-thousandth of the stated one, which was measured between float32 and
    /// float64: float64 rounds 10⁹ times finer, and a computation that amplifies rounding amplifies both. At least 1e-10 of the largest value.
    /// </summary>
    public void AssertCloseToFloat64(string name, Tensor got)
    {
        GoldenTensor want = Float64(name);
        Assert.True(got.Shape == want.Shape, $"{Name}: {name}: got the shape {got.Shape}, want {want.Shape}");
        AssertCloseToFloat64(name, got.ToArray<double>(), want.Values);
    }

    /// <summary>The same for numbers that <c>case.json</c> itself holds (losses_float64).</summary>
    public void AssertCloseToFloat64(string name, ReadOnlySpan<double> got, double[] want)
    {
        double stated = Json.GetProperty("tolerances").GetProperty(name).GetProperty("atol").GetDouble();
        // The floor is for gradients that are mathematically zero and hold only rounding noise.
        double atol = Math.Max(1e-10 * Math.Max(1, want.Select(Math.Abs).DefaultIfEmpty(0).Max()), 1e-4 * stated);
        if (FirstDifference($"{Name}: {name} (float64)", got, new GoldenTensor([want.Length], want), atol, 0) is { } difference) Assert.Fail(difference);
    }

    /// <summary>The first element outside <c>|got − want| ≤ atol + rtol · |want|</c>, in words; null where there is none.</summary>
    internal static string? FirstDifference(string name, ReadOnlySpan<double> got, GoldenTensor want, double atol, double rtol)
    {
        if (got.Length != want.Values.Length) return $"{name}: got {got.Length} elements, want {want.Values.Length} {want.Shape}";
        for (int i = 0; i < got.Length; i++)
        {
            double allowance = atol + rtol * Math.Abs(want.Values[i]), distance = Math.Abs(got[i] - want.Values[i]);
            // Written so that a NaN anywhere fails.
            if (!(distance <= allowance))
                return string.Create(CultureInfo.InvariantCulture,
                    $"{name}{Index(want.Shape, i)}: got {got[i]:R}, want {want.Values[i]:R}, |difference| {distance:G3} > {allowance:G3}");
        }
        return null;
    }

    private static string Index(Shape shape, int flat)
    {
        var index = new int[shape.Rank];
        for (int axis = shape.Rank - 1; axis >= 0; axis--) (flat, index[axis]) = Math.DivRem(flat, shape[axis]);
        return $"[{string.Join(", ", index)}]";
    }

    private static Dictionary<string, GoldenTensor> ReadAll(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path, new SafetensorsOptions { Strict = true });
        var tensors = new Dictionary<string, GoldenTensor>();
        foreach (SafetensorsEntry entry in file.Entries)
        {
            using Tensor tensor = entry.DType is DType.BFloat16 or DType.Float16
                ? file.ReadFloat(entry.Name, Devices.Reference)
                : file.Read(entry.Name, Devices.Reference);
            tensors.Add(entry.Name, new GoldenTensor(entry.Shape, tensor.DType switch
            {
                DType.Int64 => [.. tensor.ToArray<long>().Select(value => (double)value)],
                DType.Int32 => [.. tensor.ToArray<int>().Select(value => (double)value)],
                _ => tensor.ToArray<double>(),
            }));
        }
        return tensors;
    }

    private GoldenTensor Get(Dictionary<string, GoldenTensor> tensors, string name) =>
        tensors.TryGetValue(name, out GoldenTensor? tensor)
            ? tensor
            : throw new KeyNotFoundException($"{Name} has no tensor '{name}'; it has {string.Join(", ", tensors.Keys)}.");
}
