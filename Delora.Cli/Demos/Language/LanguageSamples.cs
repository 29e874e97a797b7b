using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Continues the beginnings of held-out texts of the new kind.</summary>
internal sealed class LanguageSamples
{
    private const int Count = 2, ShortestText = 40, LongestPrompt = 60;
    private const double PromptShare = 0.4;

    private readonly TextTokenizer _tokenizer;
    private readonly GenerationOptions _options;
    private readonly CancellationToken _cancellation;

    /// <param name="corpus">The texts.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="settings">Lengths.</param>
    /// <param name="seed">Seed of the choices.</param>
    /// <param name="cancellationToken">Ends a continuation.</param>
    public LanguageSamples(
        LanguageCorpus corpus, TextTokenizer tokenizer, LanguageSettings settings, ulong seed, CancellationToken cancellationToken)
    {
        (_tokenizer, _cancellation) = (tokenizer, cancellationToken);
        _options = new GenerationOptions
        {
            MaxNewTokens = settings.SampleTokens,
            Sampling = new SamplingOptions { Temperature = 0.7, TopP = 0.9 },
            Seed = seed,
        };
        string[] texts = [.. corpus.NewHeldOut.Select(x => x.Text).Where(x => x.Length >= ShortestText).Take(Count)];
        Prompts = [.. texts.Select(text => Prompt(text, settings.Context / 2))];
        Originals = [.. texts.Select((text, i) => text[Prompts[i].Length..])];
    }

    /// <summary>The beginnings, cut at a blank where there is one.</summary>
    public IReadOnlyList<string> Prompts { get; }

    /// <summary>What follows each in the original.</summary>
    public IReadOnlyList<string> Originals { get; }

    /// <summary>Continues each prompt.</summary>
    public IReadOnlyList<string> Continue(CausalLanguageModel model)
    {
        TextGenerator generator = new(model, _tokenizer);
        return [.. Prompts.Select(prompt => generator.CompleteAsync(prompt, _options, _cancellation).GetAwaiter().GetResult())];
    }

    private string Prompt(string text, int mostTokens)
    {
        // A single line: it has to go into a command that the user may copy.
        int line = text.IndexOf('\n', StringComparison.Ordinal);
        int most = Math.Min((int)(PromptShare * text.Length), line > 0 ? Math.Min(line, LongestPrompt) : LongestPrompt);
        for (int end = most; ; end /= 2)
        {
            int blank = text.LastIndexOf(' ', end);
            string prompt = text[..(blank > 0 ? blank : end)];
            if (_tokenizer.Encode(prompt).Count <= mostTokens)
                return prompt;
        }
    }
}
