using System.Globalization;

namespace Delora.Bench.Compare;

/// <summary>What is compared: one line of text, the same for both sides.</summary>
/// <param name="Kind">product, layer or step.</param>
/// <param name="Variant">NN, NT, TN or frozen; frozen or delora, with or without backward; the name of a model.</param>
/// <param name="Threads">Threads of either side.</param>
/// <param name="Sizes">M, N, K of a product; tokens, width, rank of a layer.</param>
internal sealed record CompareCase(string Kind, string Variant, int Threads, params int[] Sizes)
{
    internal string Shape => string.Join('×', Sizes);

    internal static CompareCase Parse(string line)
    {
        string[] words = line.Split(' ');
        return new CompareCase(words[0], words[1], int.Parse(words[2], CultureInfo.InvariantCulture),
            [.. words.Skip(3).Select(word => int.Parse(word, CultureInfo.InvariantCulture))]);
    }

    public override string ToString() => string.Join(' ', [Kind, Variant, .. ((int[])[Threads, .. Sizes]).Select(n => n.ToString(CultureInfo.InvariantCulture))]);
}
