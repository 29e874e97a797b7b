using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Golden;

namespace Delora.Tests.Nn.Models;

/// <summary>The real model, where it is at hand.</summary>
public sealed class StoriesTests
{
    /// <summary>What transformers continues the begin token with, greedily, as the model's description quotes it.</summary>
    private const string Continuation =
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.";

    [Fact]
    public async Task ItTellsTheStoryThatTransformersTells()
    {
        string folder = SharedModels.Folder("stories260k").PathOrSkip();
        using CausalLanguageModel model = CausalLanguageModel.Load(folder, Devices.Cpu, strict: true);
        var generator = new TextGenerator(model, TextTokenizer.Load(folder));
        string text = await generator.CompleteAsync("", new GenerationOptions { MaxNewTokens = 100 }, TestContext.Current.CancellationToken);
        Assert.StartsWith(Continuation, text);
    }
}
