using Delora.Core;

namespace Delora.Tests.Golden;

/// <summary>The discovery of cases and their comparison must be able to fail; and the data must agree with themselves.</summary>
[Trait("Category", "Golden")]
public class GoldenCasesTests
{
    [Fact]
    public void A_root_that_is_absent_or_empty_is_an_error()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<InvalidDataException>(() => GoldenCases.Find(folder.Path, "layers"));
        Assert.Throws<InvalidDataException>(() => GoldenCases.Find(Path.Combine(folder.Path, "none"), "layers"));
        folder.Write("index.json", "{}");
        Directory.CreateDirectory(folder.File("other/thing"));
        Assert.Throws<InvalidDataException>(() => GoldenCases.Find(folder.Path, "layers"));
    }

    [Fact]
    public void A_category_that_is_missing_is_a_skip_and_an_empty_one_an_error()
    {
        using var folder = new TemporaryFolder();
        folder.Write("models/llama/case.json", "{}");
        Directory.CreateDirectory(folder.File("training"));
        TheoryDataRow<string> row = Assert.Single(GoldenCases.Find(folder.Path, "layers"));
        Assert.Contains("no category 'layers'", row.Skip);
        Assert.Throws<InvalidDataException>(() => GoldenCases.Find(folder.Path, "training"));
    }

    [Theory, InlineData("errors/errors.json"), InlineData("targets/target_resolution.json"), InlineData("tokenizer/some_model.json")]
    public void A_root_of_categories_that_are_files_is_a_set_too(string file)
    {
        using var folder = new TemporaryFolder();
        folder.Write(file, "{}");
        Assert.Contains("no category 'layers'", Assert.Single(GoldenCases.Find(folder.Path, "layers")).Skip);
    }

    [Fact]
    public void Every_folder_is_a_case()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["b", "a", "99_whatever"]) folder.Write($"layers/{name}/case.json", "{}");
        folder.Write("layers/note.txt", "no case");
        TheoryData<string> rows = GoldenCases.Find(folder.Path, "layers");
        Assert.Equal(["99_whatever", "a", "b"], rows.Select(row => row.Data));
        Assert.All(rows, row => Assert.Null(row.Skip));
    }

    [Fact]
    public void The_comparison_names_tensor_index_values_and_allowance()
    {
        var want = new GoldenTensor([2, 2], [1, 2, 3, -4]);
        Assert.Null(GoldenCase.FirstDifference("y", [1.5, 1.5, 3, -4], want, 0.5, 0));
        Assert.Null(GoldenCase.FirstDifference("y", [1, 2, 3, -4.25], want, 0, 0.1));
        Assert.Equal("y[1, 1]: got -4.5, want -4, |difference| 0.5 > 0.4", GoldenCase.FirstDifference("y", [1, 2, 3, -4.5], want, 0, 0.1));
        Assert.Equal("y[0, 1]: got NaN, want 2, |difference| NaN > 100",
            GoldenCase.FirstDifference("y", [1, double.NaN, 3, 4], want, 100, 0));
        Assert.NotNull(GoldenCase.FirstDifference("y", [1, 2, double.PositiveInfinity, 4], want, 100, 0));
        Assert.Equal("y: got 3 elements, want 4 [2, 2]", GoldenCase.FirstDifference("y", [1, 2, 3], want, 100, 0));
    }

    [Theory, MemberData(nameof(GoldenCases.Layers), MemberType = typeof(GoldenCases))]
    public void A_layer_case_agrees_with_itself(string name) => CheckAgainstItself(GoldenCases.Layer(name));

    [Theory, MemberData(nameof(GoldenCases.Training), MemberType = typeof(GoldenCases))]
    public void A_training_case_agrees_with_itself(string name) => CheckAgainstItself(GoldenCases.TrainingRun(name));

    /// <summary>Shapes are those of case.json, and the float64 run lies within the stated tolerance of the float32 run.</summary>
    private static void CheckAgainstItself(GoldenCase golden)
    {
        Assert.NotEmpty(golden.Compared);
        foreach (string tensor in golden.Compared)
        {
            Assert.Equal(golden[tensor].Shape, golden.Float64(tensor).Shape);
            golden.AssertClose(tensor, golden.Float64(tensor).Values);
        }
        foreach (var described in golden.Json.GetProperty("tensors").EnumerateObject())
        {
            var shape = new Shape([.. described.Value.GetProperty("shape").EnumerateArray().Select(dim => dim.GetInt32())]);
            Assert.Equal(shape, golden[described.Name].Shape);
        }
    }
}
