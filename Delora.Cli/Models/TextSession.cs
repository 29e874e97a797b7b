using System.Globalization;
using System.Text;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Continues one prompt on the console.</summary>
internal static class TextSession
{
    /// <summary>What is asked for.</summary>
    public sealed record Request
    {
        public required string Model { get; init; }

        /// <summary>Folders of adapters, whose updates are added.</summary>
        public string[] Adapters { get; init; } = [];

        public required string Prompt { get; init; }

        /// <summary>Whether the prompt is written too.</summary>
        public bool Echo { get; init; }

        public required string Device { get; init; }

        /// <summary>What matrix products round their operands to.</summary>
        public MatMulPrecision Precision { get; init; }

        /// <summary>How frozen weights are kept.</summary>
        public required FrozenWeightOptions Frozen { get; init; }

        public bool Verbose { get; init; }

        public required GenerationOptions Generation { get; init; }
    }

    public static async Task<int> RunAsync(CliConsole console, Request request, CancellationToken stop)
    {
        ModelFolder folder = ModelFolder.Open(console, request.Model);
        using CausalLanguageModel model = folder.Load(SelectedDevice.Open(request.Device, request.Precision), request.Frozen);
        using PeftModel? peft = request.Adapters.Length > 0 ? folder.Adapt(model, request.Adapters) : null;
        TextGenerator generator = new(model, folder.Tokenizer);
        long start = console.Time.GetTimestamp();
        TimeSpan first = default;
        int count = 0;
        FinishReason? finish = null;
        try
        {
            await foreach (GeneratedToken token in generator.GenerateAsync(request.Prompt, request.Generation, stop).ConfigureAwait(false))
            {
                if (count++ == 0)
                {
                    first = console.Time.GetElapsedTime(start);
                    if (request.Echo)
                        Write(request.Prompt);
                }

                Write(token.Text);
                finish = token.Finish;
            }
        }
        finally
        {
            if (count > 0)
                console.Output.WriteLine();
            // Before what is said of it on standard error.
            console.Output.Flush();
        }

        if (request.Verbose)
            console.Error.WriteLine(Speed(count, first, console.Time.GetElapsedTime(start), finish));
        return ExitCode.Success;

        void Write(string text)
        {
            console.Output.Write(console.IsLive ? Harmless(text) : text);
            console.Output.Flush();
        }
    }

    private static string Speed(int count, TimeSpan first, TimeSpan all, FinishReason? finish)
    {
        string rest = count > 1
            ? string.Create(CultureInfo.InvariantCulture, $", then {(count - 1) / Math.Max((all - first).TotalSeconds, 1e-6):N1} tokens/s")
            : "";
        string end = finish switch
        {
            FinishReason.Stop => "the model ended the text",
            FinishReason.Context => "the model's context is full",
            _ => "--max-tokens reached",
        };
        return string.Create(
            CultureInfo.InvariantCulture, $"{count} tokens in {all.TotalSeconds:F2} s: the first after {first.TotalSeconds:F2} s{rest}; {end}");
    }

    /// <summary>A model's text without power over a terminal: of the control characters only line breaks and tabs remain.</summary>
    private static string Harmless(string text)
    {
        if (!text.Any(IsControl))
            return text;
        StringBuilder result = new(text);
        for (int i = 0; i < result.Length; i++)
        {
            if (IsControl(result[i]))
                result[i] = '\uFFFD';
        }

        return result.ToString();

        static bool IsControl(char x) => char.IsControl(x) && x is not ('\n' or '\r' or '\t');
    }
}
