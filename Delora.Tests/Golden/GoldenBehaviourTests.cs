using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>PEFT's behaviour where it is not obvious, experiment by experiment, on every device and in both modes.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenBehaviourTests
{
    /// <summary>An experiment is known by a field of its result, whatever its folder is called.</summary>
    private static readonly (string Field, Action<BehaviourCase> Handler)[] s_handlers =
    [
        ("merged_adapters_after_add", AddedWhileMerged),
        ("merged_order", MergeTwo),
        ("norms_equal_after_load", FrozenNorms),
        ("dtypes", SixteenBits),
        ("w_norm_device", MetaDevice),
        ("dropout_layer", Dropout),
        ("frobenius_of_delta", NormBound),
    ];

    public static TheoryData<string> Cases => GoldenCases.Find(GoldenCases.Root, "behaviour");

    [Theory, MemberData(nameof(Cases))]
    public void AgreesWithPeft(string name)
    {
        var golden = new GoldenCase(Path.Combine(GoldenCases.Root, "behaviour", name));
        JsonElement result = golden.Json.GetProperty("result");
        Action<BehaviourCase>? handler = s_handlers.FirstOrDefault(entry => result.TryGetProperty(entry.Field, out _)).Handler;
        Assert.True(handler is not null, $"No handler knows the experiment '{name}': {result}");
        foreach (string device in TestDevices.AllNames.Where(row => row.Skip is null).Select(row => row.Data))
            foreach (PeftCompatibility mode in Enum.GetValues<PeftCompatibility>())
            {
                using var experiment = new BehaviourCase(golden, TestDevices.Get(device), mode);
                handler(experiment);
            }
    }

    private static void AddedWhileMerged(BehaviourCase x)
    {
        x.AssertClose($"w_norm@{x.First}", x.Add(x.First).ColumnNorms);
        x.Model.Merge([x.First]);
        x.AssertClose($"W_merged_{x.First}", x.Layer.CopyWeight());
        Tensor ofMerged = x.ColumnNorms(x.Layer.CopyWeight()), ofBase = x.ColumnNorms(x.Golden["W"].ToTensor(x.Device, "W"));

        DeloraAdapter second = x.Add(x.Second);
        bool isStrict = x.Mode == PeftCompatibility.Strict;
        // The base weight's norms are what the method means; PEFT takes those of the weight that is there.
        Assert.Equal(isStrict && x.Flag($"w_norm_{x.Second}_is_norm_of_merged_weight"), Same(second.ColumnNorms, ofMerged));
        Assert.Equal(!isStrict || x.Flag($"w_norm_{x.Second}_is_norm_of_original_weight"), Same(second.ColumnNorms, ofBase));
        Assert.Equal(isStrict ? x.Texts("merged_adapters_after_add") : [x.First], x.Model.MergedAdapters);
        Assert.True(x.Warnings.Count >= x.WarningsOfPeft);
        if (isStrict) x.AssertClose($"w_norm@{x.Second}", second.ColumnNorms);
        else x.Model.Unmerge();
        x.AssertIs("W", x.Layer.CopyWeight());
        x.Model.Activate(x.Second);
        if (isStrict) x.AssertClose($"y_{x.Second}_after_unmerge", x.Forward());
    }

    private static void MergeTwo(BehaviourCase x)
    {
        x.Add(x.First);
        x.Add(x.Second);
        x.Model.Activate(x.First, x.Second);
        x.Model.Merge([x.First]);
        x.AssertClose($"W_{x.First}", x.Layer.CopyWeight());
        x.Warnings.Clear();
        x.Model.Merge([x.First, x.Second]);
        Assert.Equal(x.Texts("merged_order"), x.Model.MergedAdapters);
        Assert.Equal(x.WarningsOfPeft, x.Warnings.Count);
        x.AssertClose("W_both", x.Layer.CopyWeight());
        x.AssertClose("y_both", x.Forward());
        x.Model.Unmerge();
        x.AssertClose("W_back", x.Layer.CopyWeight());
        // PEFT comes back to within rounding; here every bit is.
        x.AssertIs("W", x.Layer.CopyWeight());
    }

    private static void FrozenNorms(BehaviourCase x)
    {
        DeloraAdapter first = x.Add(x.First);
        x.AssertClose("y_before", x.Forward());
        x.AssertClose($"w_norm@{x.First}", first.ColumnNorms);
        using (Linear doubled = x.NewLayer(2)) x.Layer.FrozenWeight!.Replace(doubled.Weight!.Value);
        x.AssertClose("y_after_weight_doubled", x.Forward());
        using (Tensor delta = x.Layer.Adapters.DeltaWeight(x.First)) x.AssertClose("delta_after_weight_doubled", delta);

        using var folder = new TemporaryFolder();
        x.Model.Save(folder.Path);
        Linear other = x.NewLayer(5);
        x.Wrap(other).Load(folder.File(x.First), x.First);
        x.AssertClose("y_loaded_on_base_times_5", x.Forward(other));
        Tensor loaded = ((DeloraAdapter)other.Adapters[x.First]).ColumnNorms;
        x.AssertClose("w_norm_after_load", loaded);
        Assert.Equal(x.Flag("norms_equal_after_load"), Same(loaded, first.ColumnNorms));
    }

    /// <summary>A base of 16-bit numbers computes in float32 here; merged weights are rounded once, when they are stored in the base's type.</summary>
    private static void SixteenBits(BehaviourCase x)
    {
        JsonElement types = x.Result.GetProperty("dtypes");
        DType TypeOf(string tensor) => Enum.GetValues<DType>().Single(type => type.Name == types.GetProperty(tensor).GetString());
        (DType type, DType adapterType) = (TypeOf("base_weight"), TypeOf("delora_A"));
        x.Add(x.First);
        if (x.Golden.Has($"y_{type.Name}")) x.AssertClose($"y_{type.Name}", x.Forward());
        using (Tensor delta = x.Layer.Adapters.DeltaWeight(x.First)) x.AssertClose("delta", delta);
        x.Model.Merge([x.First]);
        using var folder = new TemporaryFolder();
        string path = folder.File("merged.safetensors");
        SafetensorsFile.Write(path, StoredFloats.Of([new("W", x.Layer.CopyWeight())], type), floatType: DType.Float32);
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            Assert.Equal(x.Result.GetProperty("merged_weight_dtype").GetString(), file["W"].DType!.Value.Name);
            x.AssertClose("W_merged", file.ReadFloat("W", x.Device));
        }
        if (x.Golden.Has("y_merged")) x.AssertClose("y_merged", x.Forward());
        x.Model.Unmerge();
        if (x.Golden.Has("W_unmerged")) x.AssertClose("W_unmerged", x.Layer.CopyWeight());
        x.AssertIs("W", x.Layer.CopyWeight());

        x.Model.Save(folder.Path, adapterType);
        if (!x.Result.TryGetProperty("saved_dtypes", out JsonElement saves)) return;
        using SafetensorsFile saved = PeftModel.OpenWeights(folder.File(x.First));
        Assert.Equal(saves.EnumerateObject().Select(entry => $"{entry.Name} {entry.Value.GetString()}").Order(StringComparer.Ordinal),
            saved.Entries.Select(entry => $"{entry.Name} {entry.DType!.Value.Name}").Order(StringComparer.Ordinal));
        Linear other = x.NewLayer();
        x.Wrap(other).Load(folder.File(x.First), x.First);
        Assert.Equal(x.Device.FloatType, ((DeloraAdapter)other.Adapters[x.First]).A.Value.DType);
        if (x.Golden.Has($"y_{type.Name}")) x.AssertClose($"y_{type.Name}", x.Forward(other));
    }

    /// <summary>There are no tensors without memory here; what is left is that w is made from the weight.</summary>
    private static void MetaDevice(BehaviourCase x)
    {
        DeloraAdapter first = x.Add(x.First);
        Assert.Equal(x.Result.GetProperty("w_norm_shape").EnumerateArray().Select(dim => dim.GetInt32()), first.ColumnNorms.Shape.Dims.ToArray());
        Assert.Equal(x.Result.GetProperty("low_cpu_mem_usage").GetProperty("w_norm_is_column_norm").GetBoolean(),
            Same(first.ColumnNorms, x.ColumnNorms(x.Golden["W"].ToTensor(x.Device, "W"))));
    }

    private static void Dropout(BehaviourCase x)
    {
        double probability = x.Described("module_dropout=");
        DeloraAdapter first = x.Add(x.First, probability);
        x.AssertClose("y_eval", x.Forward());
        // PyTorch's mask cannot be drawn again, but be read off: single elements, the others scaled.
        GoldenTensor input = x.Golden["x"], dropped = x.Golden["x_dropped"];
        Assert.All(input.Values.Zip(dropped.Values), pair => Assert.True(pair.Second == 0 || Math.Abs(pair.Second - pair.First / (1 - probability)) < 1e-5));
        (Tensor a, Tensor b) = first.Fold();
        Tensor branch = dropped.ToTensor(x.Device, "x̃").MatMul(a, MatMulLayout.NT).MatMul(b, MatMulLayout.NT);
        using (x.Model.Disable()) x.AssertClose("y_train", x.Forward().Add(branch));
        x.Model.Base.Train();
        Assert.NotEqual(x.Forward().ToArray<double>(), x.Forward().ToArray<double>());
        x.Model.Merge();
        x.AssertClose("y_train_mode_merged", x.Forward());
        double[] training = x.Forward().ToArray<double>();
        x.Model.Base.Train(false);
        Assert.Equal(x.Flag("merged_train_equals_eval"), training.SequenceEqual(x.Forward().ToArray<double>()));
    }

    private static void NormBound(BehaviourCase x)
    {
        DeloraAdapter first = x.Add(x.First);
        x.AssertClose($"w_norm@{x.First}", first.ColumnNorms);
        using Tensor delta = first.DeltaWeight();
        x.AssertClose("delta", delta);
        double lambda = x.Result.GetProperty("lambda").GetDouble(), largest = x.Result.GetProperty("max_w_norm").GetDouble();
        LayerBound bound = Assert.Single(x.Model.BoundReport().Layers);
        AssertNear(x.Result.GetProperty("frobenius_of_delta").GetDouble(), bound.Norm);
        AssertNear(Math.Abs(lambda) * largest, bound.Bound!.Value);
        AssertNear(x.Result.GetProperty("frobenius_of_delta_over_w_norm").GetDouble(), bound.DirectionNorm!.Value);
        AssertNear(Math.Abs(lambda), bound.DirectionBound!.Value);
        Assert.True(bound.DirectionNorm <= bound.DirectionBound * (1 + 1e-5));
    }

    private static void AssertNear(double want, double got) => Assert.InRange(got, want * (1 - 1e-5), want * (1 + 1e-5));

    private static bool Same(Tensor one, Tensor two) =>
        one.ToArray<double>().Zip(two.ToArray<double>()).All(pair => Math.Abs(pair.First - pair.Second) <= 1e-6 * Math.Max(1, Math.Abs(pair.Second)));
}
