using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>Experiments that nobody knows must fail, and the table of exceptions must be able to say no.</summary>
[Trait("Category", "Golden")]
public class GoldenFilesTests
{
    [Fact]
    public void An_experiment_that_no_handler_knows_has_none()
    {
        Assert.Null(Experiments.Find("merge thrice"));
        Assert.NotNull(Experiments.Find("merge twice"));
        Assert.NotNull(Experiments.Find("config {\"r\": 77}"));
    }

    [Fact]
    public void A_file_whose_category_is_missing_is_a_skip() =>
        Assert.Contains("no category 'nothing'", Assert.Single(GoldenFiles.Rows("nothing", "x.json", _ => "")).Skip);

    [Fact]
    public void An_exception_stands_for_the_nearest_type_that_is_listed()
    {
        string[] bases = ["ValueError", "Exception", "BaseException"];
        Assert.True(PeftErrors.Corresponds("JSONDecodeError", bases, new DeloraFormatException("f", null, "x")));
        Assert.False(PeftErrors.Corresponds("JSONDecodeError", bases, new ShapeException("x")));
        Assert.False(PeftErrors.Corresponds("ValueError", [], new NullReferenceException()));
        Assert.False(PeftErrors.Corresponds("Nothing", ["BaseException"], new ArgumentException("x")));
        Assert.False(PeftErrors.Corresponds("RuntimeError", [], new ArgumentException("x")));
    }

    [Fact]
    public void A_model_that_is_not_two_layers_is_an_error_and_not_another_test()
    {
        using JsonDocument file = JsonDocument.Parse("""{"model": "nothing", "cases": [{"id": "x", "steps": "y"}]}""");
        Assert.Throws<InvalidDataException>(
            () => new Experiment(file.RootElement, file.RootElement.GetProperty("cases")[0], PeftCompatibility.Strict).Dispose());
    }
}
